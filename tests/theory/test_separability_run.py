"""The command: its files are what INTERFACE says, and its proofs can be checked from the files alone."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer

import featureconvex as fc
from featureconvex import cli
from featureconvex.data import find_task
from featureconvex.errors import UserError
from featureconvex.models.file import save_model
from featureconvex.progress import Ticker
from featureconvex.theory.separability import run as stages
from featureconvex.theory.separability.features import mapped, parse_map
from featureconvex.theory.separability.lattice import Lattice
from featureconvex.theory.separability.linear import Linear, linear_separation
from featureconvex.theory.separability.run import Settings, separability


def _table(tmp_path: Path, rows: list[tuple[object, ...]]) -> Path:
    path = tmp_path / "own.csv"
    pd.DataFrame(rows, columns=["a", "b", "label"]).to_csv(path, index=False)
    return path


def _own(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows: list[tuple[object, ...]] = [
        (float(a), float(b), "bad") for a, b in rng.integers(0, 12, (30, 2))
    ]
    rows += [(float(a) + 4, float(b), "good") for a, b in rng.integers(0, 12, (40, 2))]
    return _table(tmp_path, rows)


def test_a_named_task_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    _cli(["separability", "digits-3-8", "--out", str(out), "--proofs", "--distance", "2"])
    shown = capsys.readouterr().out
    result = json.loads((out / "separability.json").read_text())
    rows = pd.read_parquet(out / "rows.parquet")
    data = find_task("digits-3-8").load().train
    assert result["separable"] is True
    assert result["separable_reverse"] is True
    assert result["split"] == "train"
    assert result["points"] == result["proved"] == len(rows) == len(data)
    assert result["seconds"] > 0
    assert "outside the convex hull" in shown
    assert (out / "figures" / "separability.png").stat().st_size > 10_000
    assert (rows["index"] == np.arange(len(data))).all()
    assert (rows.label == data.y).all()
    assert (rows.distance_l2_lower > 0).all()
    gap = 1 - rows.distance_l2_lower / rows.distance_l2_upper
    assert (gap > -1e-9).all()
    assert gap.median() < 1e-3
    # The proofs once more, from the files, in Python integers.
    proofs = json.loads((out / "combinations.json").read_text())
    whole = Lattice.of(data.x).integers(np.arange(len(data)))
    for name, label in (("forward", 1), ("reverse", 0)):
        planes = np.load(out / proofs[name]["hyperplanes"]["file"])
        mine, its = whole[data.y == label], whole[data.y != label]
        for x, normal in zip(mine, planes.astype(object), strict=True):
            assert normal @ x > max(its @ normal)


def _cli(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(arguments)
    assert not done.value.code


def test_a_table_with_points_inside(tmp_path: Path) -> None:
    path = _own(tmp_path)
    task = find_task(str(path), "label", "bad")
    result = separability(task, tmp_path / "out", Settings())
    data = task.load()
    rows = pd.read_parquet(tmp_path / "out" / "rows.parquet")
    assert result["separable"] is False
    assert result["proved"] == result["points"] == len(rows) == len(data.train)
    assert (rows["row"] == data.train_rows).all()
    inside = rows[rows.verdict == "inside"]
    assert len(inside) > 3
    assert {"hyperplane", "combination"} <= set(rows.proof)
    assert (inside.distance_l2_upper == 0).all()
    proofs = json.loads((tmp_path / "out" / "combinations.json").read_text())
    x = [[Fraction(v) for v in point] for point in data.train.x]
    checked = 0
    for direction in ("forward", "reverse"):
        for row, found in proofs[direction]["combinations"].items():
            weights = [Fraction(w) for w in found["weights"]]
            assert min(weights) >= 0
            assert sum(weights) == 1
            corners = [x[i] for i in found["points"]]
            assert {int(data.train.y[i]) for i in found["points"]} == {
                1 - int(data.train.y[int(row)])
            }
            assert x[int(row)] == [
                sum(w * v for w, v in zip(weights, column, strict=True))
                for column in zip(*corners, strict=True)
            ]
            checked += 1
        for row, twin in proofs[direction]["duplicates"].items():
            assert x[int(row)] == x[twin]
            assert rows.duplicate_of[int(row)] == twin
            checked += 1
    assert checked == len(inside)


@pytest.mark.parametrize("features", ["abs-concat", "scattering"])
def test_after_a_feature_map(features: str, tmp_path: Path) -> None:
    task = find_task("digits-3-8")
    result = separability(task, tmp_path / "out", Settings(features=features))
    assert result["separable"] is True
    assert "float64" in result["concerns"]
    assert result["dimension"] > 64


def test_after_a_models_map(tmp_path: Path) -> None:
    phi = fc.features.Compose(fc.features.Center(0.5), fc.features.AbsConcat())
    save_model(fc.FeatureConvexModel(phi, fc.nn.ConvexMLP(4, (2,))), tmp_path / "model")
    found = mapped(parse_map(str(tmp_path), torch.zeros(1, 2)), np.array([[0.5, 2.0]]))
    assert found.tolist() == [[0.0, 1.5, 0.0, 1.5]]
    other = find_task("digits-3-8")
    save_model(
        fc.FeatureConvexModel(fc.features.Center(torch.zeros(5)), fc.nn.ConvexMLP(5, (2,))),
        tmp_path / "five",
    )
    with pytest.raises(UserError, match="does not"):
        separability(other, tmp_path / "out", Settings(features=str(tmp_path / "five")))


def test_a_cross_is_separable_after_the_absolute_value_only(tmp_path: Path) -> None:
    corners = [(a, b, int(a == b)) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
    path = _table(tmp_path, [*corners, (0.0, 0.0, 1)] * 4)
    task = find_task(str(path), "label", "1")
    plain = separability(task, tmp_path / "plain", Settings())
    assert plain["separable"] is False  # the middle is between the other corners
    absolute = separability(task, tmp_path / "absolute", Settings(features="abs-concat"))
    assert absolute["separable"] is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "validation"], "train or test"),
        (["--distance", "3"], "1, 2 or inf"),
        (["--features", "nothing"], "identity, abs-concat, scattering"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(["separability", "digits-3-8", "--out", str(tmp_path / "out"), *arguments])
    assert done.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_with_a_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{}")
    with pytest.raises(UserError, match="holds the results of"):
        separability(find_task("digits-3-8"), tmp_path, Settings())


def test_results_of_another_task_stay(tmp_path: Path) -> None:
    (tmp_path / "separability.json").write_text('{"task": "breast-cancer"}')
    with pytest.raises(UserError, match="holds the results of breast-cancer"):
        separability(find_task("digits-3-8"), tmp_path, Settings())


def test_scattering_is_for_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="for images"):
        separability(find_task("breast-cancer"), tmp_path, Settings(features="scattering"))


def test_one_hyperplane_is_found_where_there_is_one() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(40, 3)) + 4, rng.normal(size=(40, 3)) - 4])
    lattice = Lattice.of(x)
    first, second = lattice.take(np.arange(40)), lattice.take(np.arange(40, 80))
    assert linear_separation(first, second).separable is True
    mixed = linear_separation(lattice.take(np.arange(0, 80, 2)), lattice.take(np.arange(1, 80, 2)))
    assert mixed.separable is None
    assert 0.5 <= mixed.accuracy < 0.8
    half = Lattice.of(np.array([[0.0], [1.0], [2.0], [2.0]]))
    part = linear_separation(half.take(np.array([1, 2])), half.take(np.array([0, 3])))
    assert part.accuracy == 0.75


def test_a_hyperplane_that_no_discriminant_finds() -> None:
    data = load_breast_cancer()
    lattice = Lattice.of(data.data)
    sides = [lattice.take(np.flatnonzero(data.target == label)) for label in (0, 1)]
    assert linear_separation(*sides) == Linear(True, 1.0)


def test_every_stage_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticked: list[int] = []

    @contextmanager
    def counting(title: str, total: int | None, enabled: bool = True) -> Iterator[Ticker]:
        del title
        if enabled and total is not None:
            ticked.append(-total)
        yield lambda advance, _: ticked.append(advance)

    settings = Settings(distance=2.0)
    separability(find_task("breast-cancer"), tmp_path / "a", settings, progress=True)
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("verdicts: malignant against benign")
    assert told[1].startswith("distances: malignant against benign")
    assert "verdicts: benign against malignant" in told
    monkeypatch.setattr(stages, "progress_bar", counting)
    separability(find_task("breast-cancer"), tmp_path / "b", settings, progress=True)
    assert len(ticked) > 4
    assert sum(ticked) == 0  # every bar comes to its end
