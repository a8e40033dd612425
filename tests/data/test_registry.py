import ast
from pathlib import Path

import pytest

import featureconvex.data
from featureconvex.data import Task, find_task, list_tasks
from featureconvex.errors import UserError

PAIRS = [(a, b) for a in range(10) for b in range(10) if a != b]


def test_the_named_tasks() -> None:
    names = [task.name for task in list_tasks()]
    assert len(set(names)) == len(names)
    assert {
        "mnist-mini-3-8",
        "digits-3-8",
        "breast-cancer",
        "spambase",
        "mnist-3-8",
        "fashion-shirts",
        "cifar10-cats-dogs",
        "cifar10-dogs-cats",
        "malimg",
    } <= set(names)
    patterns = {task.pattern for task in list_tasks()}
    assert patterns == {"", "mnist-mini-A-B", "digits-A-B", "mnist-A-B", "fashion-A-B"}


@pytest.mark.parametrize("task", list_tasks(), ids=lambda task: task.name)
def test_every_task_describes_itself(task: Task, tmp_path: Path) -> None:
    assert find_task(task.name) == task
    assert find_task(task.name, sensitive=task.sensitive) == task
    assert task.description
    assert task.size
    location = task.locate(tmp_path)
    assert bool(location.how) != location.found
    assert location.where


@pytest.mark.parametrize("family", ["mnist-mini", "digits", "mnist", "fashion"])
def test_every_ordered_pair(family: str) -> None:
    for a, b in PAIRS:
        assert find_task(f"{family}-{a}-{b}").name == f"{family}-{a}-{b}"
    with pytest.raises(UserError, match="compares a class with itself"):
        find_task(f"{family}-4-4")


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("mnsit-3-8", "mnist-3-8"),
        ("cifar10-cat-dog", "cifar10-cats-dogs"),
        ("spam-base", "spambase"),
        ("breast_cancer", "breast-cancer"),
    ],
)
def test_close_names_are_offered(text: str, near: str) -> None:
    with pytest.raises(UserError, match=rf"did you mean .*{near}"):
        find_task(text)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("mnist-3-12", "mnist"),
        ("mnist-3-88", "mnist"),
        ("mnist-mini-3-12", "mnist-mini"),
        ("mnist-mini", "mnist-mini"),
        ("fashion-10-3", "fashion"),
        ("digits-3", "digits"),
        ("digits-A-B", "digits"),
    ],
)
def test_a_family_of_pairs_says_how_its_names_are_built(text: str, family: str) -> None:
    with pytest.raises(UserError, match=rf"family {family} .* 0 to 9, written {family}-A-B"):
        find_task(text)


def test_unknown_names_and_paths(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="featureconvex tasks"):
        find_task("xyzzy")
    with pytest.raises(UserError, match=r"no file or folder .*absent\.csv"):
        find_task("absent.csv")
    with pytest.raises(UserError, match="no file or folder"):
        find_task(str(tmp_path / "absent"))
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"notes\.txt is not a \.csv or \.parquet file"):
        find_task(str(tmp_path / "notes.txt"))


def test_options_where_they_have_no_meaning(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'3' as the sensitive class"):
        find_task("mnist-3-8", sensitive="8")
    with pytest.raises(UserError, match="--label and --sensitive are for"):
        find_task("spambase", label="spam")
    with pytest.raises(UserError, match="--label names a column"):
        find_task(str(tmp_path), label="y")


HEAVY = {"torch", "pandas", "mlxtend", "sklearn", "pooch", "requests", "rich", "PIL", "pyarrow"}


def imported_at_once(tree: ast.Module) -> set[str]:
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_listing_tasks_imports_nothing_heavy() -> None:
    for path in Path(featureconvex.data.__file__).parent.rglob("*.py"):
        assert not imported_at_once(ast.parse(path.read_text())) & HEAVY, path.name


def test_sets_of_labels_and_the_rest() -> None:
    task = find_task("digits-5+3-rest")
    assert (task.name, task.sensitive) == ("digits-3+5-0+1+2+4+6+7+8+9", "3 or 5")
    data = task.load()
    pair, other = find_task("digits-3-5").load(), find_task("digits-0-1").load()
    assert data.train.y.sum() == len(pair.train)
    assert data.test.y.sum() == len(pair.test)
    assert len(data.train) > len(pair.train) + 3 * len(other.train)
    assert (
        find_task("digits-3-8+9").load().test.y.sum() == find_task("digits-3-8").load().test.y.sum()
    )
    for wrong, why in (
        ("digits-3+5-5", "compares a class with itself"),
        ("digits-3-3", "compares a class with itself"),
        ("digits-3-8+8", "names a class twice"),
        ("digits-3+3-rest", "names a class twice"),
        ("digits-0+1+2+3+4+5+6+7+8+9-rest", "there is no rest"),
    ):
        with pytest.raises(UserError, match=why):
            find_task(wrong)
