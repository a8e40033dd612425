"""Tasks in which each class is its own: by name, from tables and from folders."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featureconvex.data import (
    ClassDataset,
    ClassSplit,
    described_tasks,
    find_class_task,
    find_task,
    names_every_class,
)
from featureconvex.data.named_tasks.catalogue import EVERY_CLASS
from featureconvex.errors import UserError


def test_every_named_task_of_all_classes(tmp_path: Path) -> None:
    listed = {task["name"]: task for task in described_tasks(tmp_path)}
    for task in EVERY_CLASS:
        assert find_class_task(task.name) == task
        assert "each class" in listed[task.name]["sensitive"]
        with pytest.raises(UserError, match=f"written {task.name}-A-B.*--multi-class own"):
            find_task(task.name)


def test_all_digits_are_those_of_the_pairs() -> None:
    whole = find_class_task("digits").load()
    assert isinstance(whole, ClassDataset)
    assert whole.classes == tuple("0123456789")
    pair = find_task("digits-3-8").load()
    for label, sensitive in ((3, 1), (8, 0)):
        own = whole.test.x[whole.test.y == label]
        np.testing.assert_array_equal(own, pair.test.x[pair.test.y == sensitive])
    size = next(task for task in EVERY_CLASS if task.name == "digits").size
    assert size.startswith(f"{len(whole.train):,} + {len(whole.test):,} images")


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_all_classes_of_idx_files(name: str) -> None:
    whole, pair = find_class_task(name).load(), find_task(f"{name}-0-6").load()
    assert (len(whole.train), len(whole.test)) == (60_000, 10_000)
    assert (whole.test.y == 6).sum() == (pair.test.y == 0).sum()
    assert whole.classes[6] == pair.other_name


def test_a_folder_of_that_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert names_every_class("digits") == "digits"
    for name in ("a", "b"):
        (tmp_path / "digits" / name).mkdir(parents=True)
        for i in range(4):
            np.save(tmp_path / "digits" / name / f"{i}.npy", np.arange(3.0) + i)
    assert names_every_class("digits") is None
    assert find_class_task("digits").load().classes == ("a", "b")


def mail(folder: Path) -> Path:
    table = pd.DataFrame({"links": np.arange(30.0), "kind": ["spam", "ham", "phish"] * 10})
    table.to_csv(folder / "mail.csv", index=False)
    return folder / "mail.csv"


def test_a_table_numbers_its_classes_in_order(tmp_path: Path) -> None:
    data = find_class_task(str(mail(tmp_path)), "kind").load()
    assert data.classes == data.class_names == ("ham", "phish", "spam")
    assert data.note == ""
    assert data.train_rows is not None
    kinds = np.array(["spam", "ham", "phish"] * 10)[data.train_rows]
    assert (np.array(data.classes)[data.train.y] == kinds).all()


def test_questions_without_an_answer(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"digits-3-8 has one sensitive class, '3'.*digits, mnist"):
        find_class_task("digits-3-8")
    with pytest.raises(UserError, match="--label is for a table of yours"):
        find_class_task("digits", label="y")
    with pytest.raises(UserError, match="for a table of your own, not for digits"):
        find_class_task("digits", keep=("id",))
    with pytest.raises(UserError, match="there is no task or path 'xyzzy'"):
        find_class_task("xyzzy")
    path = mail(tmp_path)
    schema = tmp_path / "schema.toml"
    schema.write_text('label = "kind"\nsensitive = "spam"\n\n[columns.links]\ntype = "number"\n')
    with pytest.raises(UserError, match=r"names the sensitive class 'spam'.*take the line"):
        find_class_task(str(path), schema=schema)
    (tmp_path / "one.csv").write_text("links,kind\n" + "1,spam\n" * 5)
    with pytest.raises(UserError, match="two or more are needed"):
        find_class_task(str(tmp_path / "one.csv"), "kind").load()
    with pytest.raises(UserError, match=r"--sensitive, or several as .*--multi-class own"):
        find_task(str(path), "kind").load()


def test_labels_are_numbers_of_classes_and_all_there() -> None:
    half = ClassSplit(np.zeros((3, 1)), np.array([0, 1, 2]))
    with pytest.raises(UserError, match="int64"):
        ClassSplit(np.zeros((1, 1)), np.array([-1]))
    with pytest.raises(UserError, match="2 inputs but 1 labels"):
        ClassSplit(np.zeros((2, 1)), np.array([0]))
    with pytest.raises(UserError, match="no example of class 'd'; all classes are needed"):
        ClassDataset(
            name="x",
            train=half,
            test=half,
            kind="table",
            source="here",
            classes=("a", "b", "c", "d"),
        )
