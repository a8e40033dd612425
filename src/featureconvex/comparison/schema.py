"""The numbers of a comparison: what ``comparison.json`` holds, with whole curves (see :func:`stored`)."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from featureconvex.baselines.description import MethodFacts
from featureconvex.baselines.method import Setting
from featureconvex.provenance import Provenance
from featureconvex.results.statistics.curves import CurveTable

Stretches = list[list[float]]
"""Stretches of radii, each ``[first, last]``."""


class Head(TypedDict):
    """What was compared, and how.

    Attributes:
        sensitive_name, other_name, n_sensitive: where one class is sensitive.
        multi_class, classes: ``"own"`` and names where each of several classes is to stay what it is.
    """

    task: str
    shape: list[int]
    sensitive_name: NotRequired[str]
    other_name: NotRequired[str]
    multi_class: NotRequired[str]
    classes: NotRequired[list[str]]
    n_fitting: int
    n_validation: int
    n_test: int
    n_sensitive: NotRequired[int]
    unit: str
    note: str
    samples: int
    seed: int
    epochs: NotRequired[int | None]
    data: NotRequired[str]
    provenance: NotRequired[Provenance]


class LevelTable(TypedDict):
    """One level of one setting; radii per norm.

    Attributes:
        area: under the certified curve, up to the end of its grid.
        converted: whether the radii come from another norm.
        cost_ratio: seconds per certificate over those of the reference.
        n_points: where the level covers the first so many of the points that count only; curves, medians,
            means and areas are then of these.
        median_by_class: of several classes, per norm certified itself, where it covers all points.
        gain: of several classes, how much larger its mean radius is than that of the first level, on the
            same points.
    """

    guarantee: str
    seconds_per_certificate: float
    certified_accuracy: dict[str, CurveTable]
    median_radius: dict[str, float | None]
    average_certified_radius: dict[str, float]
    area: dict[str, float]
    converted: dict[str, bool]
    cost_ratio: NotRequired[float | None]
    n_points: NotRequired[int]
    median_by_class: NotRequired[dict[str, dict[str, float | None]]]
    gain: NotRequired[dict[str, float | None]]


AccuracyByClass = dict[str, float | None]
"""Of ``sensitive`` and ``other``, or of each class by its name; None where there is no point of it."""


class FitRecord(TypedDict):
    """What is known of one fit besides its rows.

    Attributes:
        facts: what the method told of its fit.
        unavailable: levels that refused the model, with the reason.
        covered: levels that are about the first so many test points only.
        provenance: of the fit, as settings of one comparison may come from several commands.
    """

    setting: Setting
    facts: dict[str, Any]
    train_seconds: float
    measurements: dict[str, float]
    unavailable: dict[str, str]
    covered: dict[str, int]
    provenance: Provenance


class SettingTable(FitRecord):
    """One fit of a method."""

    clean_accuracy: float
    accuracy_by_class: AccuracyByClass
    levels: dict[str, LevelTable]


class FailureTable(TypedDict):
    """A setting that is left out, and why."""

    setting: Setting
    reason: str


class Headline(TypedDict, total=False):
    """At a method's first level: the best setting in each norm, or in the native norm as a whole."""

    clean_accuracy: float
    certified_accuracy: dict[str, CurveTable]
    median_radius: dict[str, float | None]
    best_setting: dict[str, Setting]
    converted: dict[str, bool]
    seconds_per_certificate: float
    train_seconds: float


class MethodTable(MethodFacts, Headline):
    """A method: ``reason`` where nothing of it is compared, otherwise its numbers."""

    reason: NotRequired[str]
    settings: NotRequired[list[SettingTable]]
    failed: NotRequired[list[FailureTable]]
    cost_ratio: NotRequired[float | None]


class Reference(TypedDict):
    """The method and level that costs are a ratio to, at its fastest setting; None without it."""

    method: str
    level: str
    setting: Setting | None
    seconds_per_certificate: float | None


class Difference(TypedDict):
    """The largest difference of two certified accuracies, and the radius where it is."""

    difference: float
    radius: float


class Pair(TypedDict):
    """One curve against another, see :func:`featureconvex.comparison.pairwise.compare_curves`."""

    ahead: Stretches
    behind: Stretches
    clearly_ahead: Stretches
    clearly_behind: Stretches
    lead: Difference | None
    lag: Difference | None


class SettingPair(Pair):
    """The reference's best curve against that of one setting."""

    setting: Setting


class Against(TypedDict):
    """The reference's best curve against a method's: at its best setting, at every one, at any."""

    converted: bool
    best: Pair
    any_setting: NotRequired[Pair]
    settings: NotRequired[list[SettingPair]]


class Area(TypedDict):
    """The area under a curve, and whose it is."""

    method: str
    setting: Setting
    area: float
    converted: bool
    guarantee: str


class OwnArea(Area):
    """A setting of the reference, and the methods with a larger area."""

    behind: list[str]


class Leads(TypedDict):
    """Where the reference certifies more than all others, as much as the best of them, or less."""

    alone: Stretches
    shared: Stretches
    behind: Stretches


Leaders = TypedDict("Leaders", {"from": float, "to": float, "methods": list[str]})
"""A stretch of radii and the methods that certify most there."""


class Ordering(TypedDict):
    """Who certifies most in one norm, see :func:`featureconvex.comparison.ranking.derive_ordering`."""

    radii: list[float]
    up_to: float
    areas: list[Area]
    largest_native: str | None
    leaders: list[Leaders]
    reference_setting: NotRequired[Setting]
    reference_leads: NotRequired[Leads]
    against: NotRequired[dict[str, Against]]
    own_settings: NotRequired[list[OwnArea]]
    sentences: NotRequired[list[str]]


class ComparisonTables(Head):
    """All numbers; methods by name, orderings by norm."""

    reference: Reference
    methods: dict[str, MethodTable]
    ordering: dict[str, Ordering]


def counted_points(tables: Head | Mapping[str, Any]) -> int:
    """How many test points stand behind a curve: the sensitive ones, or of several classes all."""
    return int(tables["n_test"] if "classes" in tables else tables["n_sensitive"])
