"""What the answers of the studies rest on: intervals, the regression, characteristics, pictures."""

import gzip
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from sklearn.neighbors import KNeighborsClassifier

from featureconvex.data import Split
from featureconvex.data.named_tasks.malimg import CLEAN_FAMILY, FOLDER
from featureconvex.errors import UserError
from featureconvex.results.statistics.intervals import bootstrap, median, student
from featureconvex.study.cascade.collection import EXECUTABLE, kind_of, picture
from featureconvex.study.cascade.grid import MODEL, work
from featureconvex.study.generalisation.grid import class_accuracy
from featureconvex.study.generalisation.signs import neighbour_accuracy, signs
from featureconvex.study.generalisation.tables import public_table
from featureconvex.study.generalisation.toys import TOYS, toy
from featureconvex.study.pairs.characteristics import (
    characteristics,
    nearest_distance,
    two_nearest,
)
from featureconvex.study.pairs.regression import (
    Pairs,
    explained,
    over_classes,
    predicted_elsewhere,
)
from featureconvex.study.ranks import rank_correlation
from featureconvex.study.small_models.spec import ModelSpec
from featureconvex.study.small_models.variants import variant


def test_the_interval_of_a_median_covers_it() -> None:
    random = np.random.default_rng(0)
    for n in (15, 80):
        found = [median(random.exponential(size=n)) for _ in range(400)]
        covered = np.mean([one.low <= np.log(2) <= one.high for one in found])
        assert 0.93 <= covered <= 1
        assert all(one.low <= one.estimate <= one.high for one in found)


def test_a_median_without_values_and_with_infinite_ones() -> None:
    assert np.isnan(median([]).estimate)
    assert median([1.0, np.inf, np.inf]).estimate == np.inf


def test_students_interval_covers_the_mean() -> None:
    random = np.random.default_rng(1)
    found = [student(random.normal(size=3)) for _ in range(1000)]
    assert np.mean([one.low <= 0 <= one.high for one in found]) == pytest.approx(0.95, abs=0.03)
    assert np.isnan(student([1.0]).low)


def test_the_bootstrap_draws_whole_groups() -> None:
    groups = np.repeat(np.arange(5), 20)
    values = groups.astype(float)
    found = bootstrap(lambda rows: float(values[rows].mean()), groups)
    alone = bootstrap(lambda rows: float(values[rows].mean()), np.arange(100))
    assert found.estimate == 2
    assert found.high - found.low > 3 * (alone.high - alone.low)


def test_a_regression_is_judged_on_classes_it_did_not_see() -> None:
    """A rule of the characteristics carries over; what only the class's name tells does not."""
    random = np.random.default_rng(0)
    classes = np.array(list(permutations(range(8), 2)))
    x = random.normal(size=(len(classes), 3))
    rule = Pairs(classes, x, x @ [1.0, -2.0, 0.5])
    assert explained(rule.y, predicted_elsewhere(rule), False) > 0.99
    name = random.normal(size=8)
    # The characteristic is the class's name, and the value a number drawn for that name.
    named = Pairs(classes, np.eye(8)[classes[:, 0]], name[classes[:, 0]])
    assert explained(named.y, predicted_elsewhere(named), False) < 0.2


def test_an_odd_regression_has_no_intercept() -> None:
    classes = np.array([(a, b) for a in range(6) for b in range(a + 1, 6)])
    pairs = Pairs(classes, np.zeros((len(classes), 1)), np.ones(len(classes)), odd=True)
    assert predicted_elsewhere(pairs).tolist() == [0.0] * len(classes)
    assert explained(pairs.y, np.zeros(len(classes)), odd=True) == 0


def test_the_interval_over_classes_is_wider_than_over_pairs() -> None:
    classes = np.array(list(permutations(range(10), 2)))
    y = np.random.default_rng(0).normal(size=10)[classes[:, 0]]
    found = over_classes(classes, lambda rows: float(y[rows].mean()))
    half = 1.96 * y.std() / np.sqrt(len(y))
    assert found.low < y.mean() < found.high
    assert found.high - found.low > 3 * half


def test_rank_correlation_is_spearmans() -> None:
    random = np.random.default_rng(0)
    a, b = random.integers(0, 5, 40).astype(float), random.normal(size=40)
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert np.isnan(rank_correlation(np.ones(5), b[:5]))


def test_intrinsic_dimension_of_known_ones() -> None:
    random = np.random.default_rng(0)
    for d in (2, 6):
        x = random.normal(size=(1500, d)) @ random.normal(size=(d, 30))
        assert two_nearest(x) == pytest.approx(d, rel=0.15)


def test_characteristics_of_two_boxes() -> None:
    """Two clouds a known distance apart: every length is what geometry says."""
    random = np.random.default_rng(0)
    own = random.uniform(0, 1, (400, 2)) * [1, 1] + [3, 0]
    other = random.uniform(0, 1, (200, 2))
    y = np.repeat([1, 0], [400, 200]).astype(np.int8)
    found = characteristics(Split(np.concatenate([own, other]), y), 100, 0)
    assert found["hull"] == pytest.approx(2.5, abs=0.1)
    assert found["linear_accuracy"] == 1
    assert 1 < found["linear_margin"] < 2.6
    assert found["spread"] == pytest.approx(np.sqrt(2 / 12), rel=0.1)
    assert found["means"] == pytest.approx(3, abs=0.1)
    assert found["nearest"] > found["hull"] - 0.1


def test_nearest_distances_are_those_of_all_pairs() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(7, 3)), random.normal(size=(9, 3))
    truth = np.linalg.norm(x[:, None] - y[None], axis=2).min(axis=1)
    assert nearest_distance(x, y) == pytest.approx(truth)


def test_toys_have_the_shape_they_are_named_for() -> None:
    for name in TOYS:
        data = toy(name, 900, 0)
        assert len(data.train) + len(data.test) == 900
        assert abs(data.train.y.mean() - 0.5) < 0.1
        # Both halves are drawn alike: what one of them teaches holds in the other.
        nearest = KNeighborsClassifier(5).fit(data.train.x, data.train.y)
        assert nearest.score(data.test.x, data.test.y) > 0.6
    xor = toy("xor", 900, 0).train
    assert ((xor.x[:, 0] > 0) ^ (xor.x[:, 1] > 0)).astype(int).tolist() == xor.y.tolist()
    found = signs(xor.x, xor.y, 0)
    assert found["neighbour_accuracy"] > 0.8 > 0.7 > found["linear_accuracy"]


def test_five_neighbours_know_clusters_and_not_noise() -> None:
    random = np.random.default_rng(0)
    y = np.repeat([0, 1], 60).astype(np.int8)
    x = random.normal(size=(120, 2))
    assert neighbour_accuracy(x + 9 * y[:, None], y) == 1
    assert neighbour_accuracy(x, y) < 0.7


def test_accuracy_is_the_mean_of_both_classes() -> None:
    y = np.array([1, 0, 0, 0], dtype=np.int8)
    found = class_accuracy(np.array([True, False, False, True]), y)
    assert found == {"accuracy": (1 + 2 / 3) / 2, "right": [2, 1], "of": [3, 1]}


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"phishing\.csv is missing"):
        public_table("phishing", tmp_path)


def test_a_table_of_many_classes_becomes_two(tmp_path: Path) -> None:
    rows = [f"{kind},{k % 7},{k % 5}" for k in range(60) for kind in ("A", "N", "Z")]
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "letter.csv.gz").write_bytes(
        gzip.compress("\n".join(["lettr,a,b", *rows]).encode())
    )
    data = public_table("letter", tmp_path)
    assert (data.sensitive_name, data.other_name) == ("sensitive", "other")
    assert data.train.y.mean() == pytest.approx(1 / 3, abs=0.01)


def test_an_unknown_map_is_refused() -> None:
    with pytest.raises(UserError, match="unknown feature map 'fourier'"):
        ModelSpec.of({"map": "fourier"})


def test_a_variant_leaves_its_base_alone() -> None:
    base: dict[str, Any] = {"model": {"map": "identity"}, "recipe": {"epochs": 3}}
    assert variant(base, recipe={"epochs": 5}) == {**base, "recipe": {"epochs": 5}}
    assert base["recipe"]["epochs"] == 3


def test_files_are_drawn_as_malimg_draws_them(tmp_path: Path) -> None:
    content = np.full(64 * 64 - 10, 200, dtype=np.uint8)
    drawn = picture(content)
    assert drawn.shape == (1, 64, 64)
    # 4 kB are 32 bytes wide and 128 rows high; the last row is filled with 0.
    assert (drawn[0, :-1] == 200).all()
    assert drawn[0, -1, -1] < 200
    program = tmp_path / "tool"
    program.write_bytes(b"\x7fELF" + bytes(100))
    assert kind_of(program) == EXECUTABLE
    program.write_text("#!/bin/sh")
    assert kind_of(program) is None
    assert kind_of(Path("a.so")) == "shared object"
    assert kind_of(Path("a.unknown")) is None


def test_the_cascade_reads_malimg(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for place, name in enumerate((CLEAN_FAMILY, "Bright", "Striped")):
        folder = tmp_path / FOLDER / name
        folder.mkdir(parents=True)
        for k in range(25):
            pixels = random.integers(0, 60, (70, 64)).astype(np.uint8)
            if place == 1:
                pixels += 150
            if place == 2:
                pixels[::8] += 190
            Image.fromarray(pixels).save(folder / f"{k}.png")
    settings = {
        **{"source": "malimg", "model": {**MODEL, "hidden": [8]}, "seed": 0, "trees": 10},
        "recipe": {"norm": 1, "epochs": 3, "batch_size": 16, "share": 1 / 8, "learning_rate": 1e-3},
    }
    found = work(settings, tmp_path)
    assert found["families"] == [CLEAN_FAMILY, "Bright", "Striped"]
    assert found["confusion"].sum() == 15
    assert found["cascade_accuracy"]["estimate"] > 0.8
    assert FOLDER in work(settings, tmp_path / "nothing")["missing"]
