"""Which classes of a user's own data are sensitive."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featureconvex.data import find_task
from featureconvex.data.classes.sensitive import choose_sensitive
from featureconvex.data.inspection import inspect_table
from featureconvex.data.schema.toml import schema_text
from featureconvex.errors import UserError
from featureconvex.files import write_text

MAIL = ["ham", "phish", "scam", "spam"]


def test_several_classes_are_one_side() -> None:
    chosen = choose_sensitive(MAIL, "spam|phish", "mail.csv")
    assert (chosen.names, chosen.name) == (("phish", "spam"), "phish or spam")
    assert chosen.other == "not phish or spam"
    assert chosen.binary(np.array(["ham", "spam", "phish"])).tolist() == [0, 1, 1]
    assert choose_sensitive(MAIL, "phish|scam|spam", "mail.csv").other == "ham"
    many = choose_sensitive([str(n) for n in range(9)], "|".join("01234567"), "t.csv")
    assert (many.name, many.other) == ("one of 8 classes", "8")


def test_a_name_with_a_bar_is_a_name() -> None:
    with pytest.raises(UserError, match="names 'spam' twice"):
        choose_sensitive(MAIL, "spam|spam", "mail.csv")
    assert choose_sensitive(["a|b", "a", "b"], "a|b", "t.csv").names == ("a|b",)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("spam|eggs", "no class 'eggs'.*or several with | between them"),
        ("ham|phish|scam|spam", "names all classes"),
        ("", "no class ''"),
    ],
)
def test_bad_choices(wanted: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose_sensitive(MAIL, wanted, "mail.csv")


def test_a_table_of_several_sensitive_classes(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    kinds = np.array(MAIL)[np.arange(80) % 4]
    table = pd.DataFrame({"links": generator.normal(size=80), "kind": kinds})
    table.to_csv(tmp_path / "mail.csv", index=False)
    data = find_task(str(tmp_path / "mail.csv"), "kind", "spam|scam").load()
    assert data.sensitive_name == "scam or spam"
    assert data.train.y.mean() == data.test.y.mean() == 0.5
    assert data.note.startswith("scam or spam against all other classes: ham (20), phish (20).")


def test_a_schema_names_them_too(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"links": np.arange(40) % 7 / 4, "kind": np.array(MAIL)[np.arange(40) % 4]}
    )
    table.to_csv(tmp_path / "mail.csv", index=False)
    look, _ = inspect_table(tmp_path / "mail.csv", "kind", "spam|scam")
    write_text(tmp_path / "s.toml", schema_text(look.schema))
    data = find_task(str(tmp_path / "mail.csv"), schema=tmp_path / "s.toml").load()
    assert data.sensitive_name == "scam or spam"
    with pytest.raises(UserError, match="no class 'eggs'"):
        inspect_table(tmp_path / "mail.csv", "kind", "spam|eggs")
