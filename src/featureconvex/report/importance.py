"""Which features of a table matter most at one sample."""

from dataclasses import dataclass

import numpy as np

from featureconvex.results.examples import Specimen
from featureconvex.results.record import Record


@dataclass(frozen=True)
class Weight:
    """One feature's pull on the margin at one sample.

    Attributes:
        feature: its name.
        value: the feature's value in raw units.
        pull: the change of the margin per step (see ``step_name``), positive towards sensitive.
    """

    feature: str
    value: float
    pull: float


def step_name(record: Record) -> str:
    """The step by which pulls are counted: a training standard deviation where the record has them."""
    return "training standard deviation" if record.get("feature_std") else "raw unit"


def strongest_features(specimen: Specimen, record: Record, most: int = 6) -> list[Weight]:
    """The features with the largest pulls, strongest first; features without any pull are left out.

    The record's optional ``feature_std`` (one number per feature) turns the gradient per raw unit into
    one per training standard deviation, which makes features of different scales comparable. One that
    never varied in training has deviation 0, and so no pull.
    """
    scale = np.asarray(record.get("feature_std") or np.ones(len(specimen.x)), dtype=np.float64)
    pull = specimen.gradient.astype(np.float64) * scale
    order = np.argsort(-np.abs(pull), kind="stable")[:most]
    names = record["feature_names"] or []
    return [
        Weight(str(names[i]), float(specimen.x[i]), float(pull[i])) for i in order if pull[i] != 0
    ]
