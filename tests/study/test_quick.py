"""Every study runs on bundled data in seconds, and says what it promises."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featureconvex import cli


def quick(name: str, out: Path) -> dict[str, Any]:
    with pytest.raises(SystemExit) as done:
        cli.main(["study", name, "--quick", "--out", str(out)])
    assert not done.value.code
    assert (out / f"{name}.png").stat().st_size > 10_000
    found: dict[str, Any] = json.loads((out / f"{name}.json").read_text())
    assert found["quick"] is True
    return found


def holds(interval: dict[str, Any]) -> bool:
    ends = (interval["low"], interval["estimate"], interval["high"])
    return None in ends or ends[0] <= ends[1] + 1e-9 <= ends[2] + 2e-9


def test_pairs(tmp_path: Path) -> None:
    found = quick("pairs", tmp_path)["sets"]["learned digits"]
    assert len(found["pairs"]) == 12
    for pair in found["pairs"]:
        assert holds(pair["clean_accuracy"])
        assert pair["clean_accuracy"]["estimate"] > 0.85
        assert holds(pair["median_radius"]["l2"])
    for target, count in (("radius", 12), ("asymmetry", 6)):
        assert found[target]["pairs"] == count
        assert all(np.isfinite(found[target]["guess"]))
        assert found[target]["explained_on_unseen"]["estimate"] <= 1


def test_generalisation(tmp_path: Path) -> None:
    found = quick("generalisation", tmp_path)
    assert set(found["sets"]) == {"digits-3-8", "breast-cancer", "ring", "core"}
    core, ring = found["sets"]["core"], found["sets"]["ring"]
    # The sensitive class inside the other one's hull: what no model convex in its input can be right about.
    assert core["signs"]["sensitive_outside"] < 0.1 < 0.8 < ring["signs"]["sensitive_outside"]
    assert core["gap"]["fixed"]["low"] > 0.2
    for own in found["sets"].values():
        assert all(holds(gap) for gap in own["gap"].values())


def test_lipschitz(tmp_path: Path) -> None:
    found = quick("lipschitz", tmp_path)
    labels = [one["label"] for one in found["variants"]]
    assert len(set(labels)) == len(labels) == 9
    assert set(found["scaling"]["digits-3-8"]["constant"]) == {"1", "2"}


def test_ablations(tmp_path: Path) -> None:
    found = quick("ablations", tmp_path)["variants"]
    groups = {one["group"] for one in found}
    assert groups == {"paper, digits-3-8", "ours, digits-3-8"}
    for group in groups:
        base = next(one for one in found if one["group"] == group)
        assert base["label"] == "base"
        assert base["change"]["clean_accuracy"]["estimate"] == 0
    changed = [one["settings"] for one in found]
    assert all(a != b for k, a in enumerate(changed) for b in changed[:k])


def test_overfitting(tmp_path: Path) -> None:
    found = quick("overfitting", tmp_path)["variants"]
    assert {one["map"] for one in found} == {"no map", "learned map"}
    for one in found:
        train, test = (one[kind]["estimate"] for kind in ("train_accuracy", "clean_accuracy"))
        assert one["gap"]["estimate"] == pytest.approx(train - test)


def test_cascade(tmp_path: Path) -> None:
    found = quick("cascade", tmp_path)["sources"]["python"]
    counts = np.array(found["confusion"])
    assert counts.shape == (len(found["families"]),) * 2
    names = found["families"][1:]
    # A row of the matrix is a family's test files, and its first column those that were passed.
    for name, row in zip(names, counts[1:], strict=True):
        own = found["by_family"][name]
        assert row.sum() == own["files"]
        assert (
            row[1:].sum()
            == len(own["radius"]["l1"]["all"])
            == round(own["flagged"]["estimate"] * own["files"])
        )
    assert found["detector"]["flagged_malware"]["estimate"] > 0.5
    assert holds(found["cascade_accuracy"])


def test_paper(tmp_path: Path) -> None:
    found = quick("paper", tmp_path)
    page = (tmp_path / "paper.md").read_text()
    for item in found["items"].values():
        assert f"## {item['title']}" in page
        assert item["paper"]
        assert item["differs"]
    assert (tmp_path / "figures" / "curves.png").stat().st_size > 10_000
    assert "98.8" in page


def test_multi_class(tmp_path: Path) -> None:
    found = quick("multi-class", tmp_path)
    assert [one["scores"] for one in found["models"]] == ["convex", "affine"]
    for one in found["models"]:
        assert one["accuracy"]["estimate"] > 0.8
        assert one["certified"][0] <= one["accuracy"]["estimate"] + 1e-9
        assert all(a >= b for a, b in itertools.pairwise(one["certified"]))
        assert one["tight_gain"]["estimate"] >= 0
    (digit, even) = found["sets"]
    assert (digit["set"], even["set"]) == ("3", "even digits")
    for kind in found["sets"]:
        assert [one["model"] for one in kind["answers"]] == ["convex", "affine", "detector"]
        # Both protect the set; the detector alone gives up the others for it.
        radii = {one["model"]: one["mean_radius"]["estimate"] for one in kind["answers"]}
        assert radii["detector"] > radii["affine"]
