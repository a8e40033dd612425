"""Methods of a user's own that are wrong: named clearly, and nobody else's results are lost."""

import json
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from tests.baselines.cases import digits, options
from torch import Tensor

from featureconvex.baselines import Method, Options, register_method
from featureconvex.baselines.nonexpansive.linear import Linear
from featureconvex.comparison import CompareSettings, MethodFailedWarning, compare
from featureconvex.data import find_task
from featureconvex.errors import UserError
from featureconvex.testing import MethodCase, check_method


class Own(Linear):
    """Right as it is."""

    name = "own"


class FitsNothing(Own):
    def fit(self, *args: Any, **kwargs: Any) -> Any:
        super().fit(*args, **kwargs)


class FitsWithoutFacts(Own):
    def fit(self, *args: Any, **kwargs: Any) -> Any:
        return {"epochs": super().fit(*args, **kwargs)["epochs"]}


class PredictsAList(Own):
    def predict(self, x: Tensor) -> Any:
        return list(super().predict(x))


class PredictsScores(Own):
    def predict(self, x: Tensor) -> Any:
        return self.scores(x).detach().numpy()


class PredictsTooFew(Own):
    def predict(self, x: Tensor) -> Any:
        return super().predict(x)[:-1]


class CertifiesNothing(Own):
    def certify(self, x: Tensor, level: str) -> Any:
        return None


class CertifiesLists(Own):
    def certify(self, x: Tensor, level: str) -> Any:
        return {p: radii.tolist() for p, radii in super().certify(x, level).items()}


class CertifiesAnotherNorm(Own):
    def certify(self, x: Tensor, level: str) -> Any:
        return {3.0: np.ones(len(x))}


class CertifiesNaN(Own):
    def certify(self, x: Tensor, level: str) -> Any:
        return {p: np.full(len(x), math.nan) for p in self.native_norms}


class FlagsEverything(Own):
    def predict(self, x: Tensor) -> Any:
        return np.ones(len(x), dtype=bool)

    def certify(self, x: Tensor, level: str) -> Any:
        return {p: np.full(len(x), np.inf) for p in self.native_norms}


class FlagsNothing(Own):
    def predict(self, x: Tensor) -> Any:
        return np.zeros(len(x), dtype=bool)


class Unsettled(Own):
    found: ClassVar[Any] = [{"a": 1}, {"a": 1}]

    @classmethod
    def settings(cls, options: Options) -> Any:
        return cls.found


class NoSettings(Unsettled):
    found: ClassVar[Any] = []


class SettingsAreNone(Unsettled):
    found: ClassVar[Any] = None


class SettingsAreWords(Unsettled):
    found: ClassVar[Any] = ["a"]


class SettingsRaise(Own):
    @classmethod
    def settings(cls, options: Options) -> Any:
        raise ZeroDivisionError("not today")


WRONG: dict[type[Method], str] = {
    FitsNothing: "fit must return a dict with at least epochs, train_accuracy, got None",
    FitsWithoutFacts: "fit must return a dict with at least epochs, train_accuracy, got {'epochs'",
    PredictsAList: "predict must return an array of",
    PredictsScores: "predict must return an array of",
    PredictsTooFew: "predict must return an array of",
    CertifiesNothing: "certify must return a dict of the norms",
    CertifiesAnotherNorm: "certify must return a dict of the norms",
    CertifiesLists: "certify must return",
    CertifiesNaN: "none of them NaN",
    FlagsEverything: "no detector, as it flags every test point",
    FlagsNothing: "no detector, as it flags no test point",
    Unsettled: "no two alike",
    NoSettings: "at least one",
    SettingsAreNone: "must return a list of dicts",
    SettingsAreWords: "must return a list of dicts",
    SettingsRaise: "ZeroDivisionError: not today",
}


pytestmark = pytest.mark.usefixtures("own_methods", "undrawn")


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_method_is_named_and_the_others_stand(kind: type[Method], tmp_path: Path) -> None:
    register_method(kind)
    settings = CompareSettings("own,linear", limit=20, epochs=2)
    with pytest.warns(MethodFailedWarning, match="own .*is left out"):
        compare(find_task("digits-3-8"), tmp_path, settings, progress=False)
    found = json.loads((tmp_path / "comparison.json").read_text())["methods"]
    assert WRONG[kind] in found["own"]["reason"]
    assert "clean_accuracy" in found["linear"]
    assert (tmp_path / "report.html").exists()


@pytest.mark.parametrize("kind", WRONG)
def test_the_contract_test_sees_it_too(kind: type[Method]) -> None:
    with pytest.raises(AssertionError):
        check_method(MethodCase(lambda: kind(options(5), {}), *digits(), attempts=10))


def test_the_contract_test_lets_a_right_one_pass() -> None:
    check_method(MethodCase(lambda: Own(options(5), {}), *digits(), attempts=10))


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("name", "Bad Name/..", "Own.name must be letters, digits"),
        ("name", "..", "Own.name must be letters, digits"),
        ("native_norms", (), "Own.native_norms must be a tuple of some of"),
        ("native_norms", (3.0,), "Own.native_norms must be a tuple of some of"),
        ("native_norms", (2.0, 2.0), "Own.native_norms must be a tuple of some of"),
        ("native_norms", 2.0, "Own.native_norms must be a tuple of some of"),
        ("levels", {}, "Own.levels must be a dict of at least one"),
        ("levels", {"certified": "deterministic"}, "Own.levels must be a dict of at least one"),
        ("literature", None, "Own.literature must be a string, got None"),
    ],
)
def test_attributes_are_checked_at_once(attribute: str, value: Any, message: str) -> None:
    kind = type("Own", (Own,), {attribute: value})
    with pytest.raises(UserError, match=message):
        register_method(kind)
    with pytest.raises(AssertionError, match=message):
        check_method(MethodCase(lambda: kind(options(5), {}), *digits(), attempts=10))
