"""Frames of polars hold what those of pandas hold: the same predictions, certificates and statuses."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests.undrawn import undrawn_reports

import featureconvex as fc
from featureconvex import cli
from featureconvex.data.tables.frame import as_pandas
from featureconvex.detector import Detector
from featureconvex.errors import UserError


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("mails")
    spam = rng.random(90) < 0.5
    frame = pd.DataFrame(
        {
            "links": rng.poisson(np.where(spam, 6, 1)),
            "share": np.where(rng.random(90) < 0.1, np.nan, rng.normal(spam, 1.0)),
            "new": rng.random(90) < 0.3 + 0.4 * spam,
            "shop": rng.choice(["a", "b, c", "Ä"], 90),
            "day": pd.date_range("2024-01-01", periods=90).astype(str),
            "kind": np.where(spam, "spam", "ham"),
        }
    )
    frame.to_csv(folder / "mails.csv", index=False)
    options = ("--label", "kind", "--sensitive", "spam", "--out", folder / "s.toml")
    run = (
        "--schema",
        folder / "s.toml",
        "--epochs",
        2,
        "--temperature",
        0.3,
        "--out",
        folder / "a",
    )
    for given in (("inspect", folder / "mails.csv", *options), ("run", folder / "mails.csv", *run)):
        with undrawn_reports(), pytest.raises(SystemExit, match="0"):
            cli.main([str(part) for part in given])
    return folder


def test_a_detector_takes_both(mails: Path) -> None:
    detector = fc.load(mails / "a")
    assert isinstance(detector, Detector)
    frame = pl.read_csv(mails / "mails.csv").sample(fraction=1.0, shuffle=True, seed=1)
    frame = frame.with_columns(pl.col("shop").cast(pl.Categorical), pl.col("links").cast(pl.UInt8))
    before = frame.to_pandas()
    np.testing.assert_array_equal(
        detector.sensitive_margin(frame), detector.sensitive_margin(before)
    )
    assert (detector.predict(frame) == detector.predict(before)).all()
    assert detector.predict_proba(frame).shape == (90, 2)
    mine, other = detector.certify(frame), detector.certify(before)
    np.testing.assert_array_equal(mine.radius, other.radius)
    assert (mine.status == other.status).all()
    assert (mine.radius > 0).any()
    norm = fc.certify(detector, frame, fc.Lp(1))
    np.testing.assert_array_equal(norm.radius, fc.certify(detector, before, fc.Lp(1)).radius)
    found = fc.attack(detector, frame, fc.Lp(2), steps=5)
    assert len(found.distance) == 90
    with pytest.raises(UserError, match="lacks 1 of"):
        detector.predict(frame.drop("links"))
    with pytest.raises(UserError, match="collect"):
        detector.predict(frame.lazy())


def test_the_estimator_takes_both() -> None:
    rng = np.random.default_rng(0)
    before = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    frame, y = pl.from_pandas(before), before["a"] > 0
    clf = fc.FeatureConvexClassifier(hidden=(4,), epochs=1, temperature=0.3, random_state=0)
    first = clf.fit(frame, pl.Series(y.to_numpy())).certify(frame)
    assert clf.feature_names_in_.tolist() == ["a", "b", "c"]
    box = fc.Box(-9, 9, immutable=["b"])
    held = clf.certify(frame, fc.Lp(2), box, "domain")
    again = fc.FeatureConvexClassifier(hidden=(4,), epochs=1, temperature=0.3, random_state=0)
    np.testing.assert_array_equal(first.radius, again.fit(before, y).certify(before).radius)
    np.testing.assert_array_equal(
        held.radius, again.certify(before, fc.Lp(2), box, "domain").radius
    )
    assert (clf.predict(frame) == again.predict(before)).all()
    words = frame.with_columns(pl.lit("x").alias("c"))
    with pytest.raises(UserError, match="'c' holds 'x'"):
        clf.fit(words, y)


def test_what_is_no_frame_stays() -> None:
    x = np.ones((2, 2))
    assert as_pandas(x) is x
    assert as_pandas(pl.Series([1.0, 2.0])).tolist() == [1.0, 2.0]
