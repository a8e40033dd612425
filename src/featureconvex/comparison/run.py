"""Run the comparison: every method on the same points; one method's failure loses nothing else."""

import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pandas as pd
from filelock import FileLock

from featureconvex.baselines.description import (
    Description,
    has_words,
    setting_words,
    settings_of,
)
from featureconvex.baselines.method import CertifiedMethod, Options, Setting
from featureconvex.baselines.multi_class.method import ClassOptions
from featureconvex.baselines.multi_class.registry import find_class_methods
from featureconvex.baselines.registry import METHODS, find_methods
from featureconvex.comparison.data import ComparisonData, comparison_data
from featureconvex.comparison.fit import AnotherComparisonError, OneFit, run_one_fit
from featureconvex.comparison.folder import (
    OWN_COLUMNS,
    Comparison,
    kept_results,
    write_comparison,
)
from featureconvex.comparison.metrics import Failure, MethodResult
from featureconvex.comparison.schema import Head
from featureconvex.data import ClassDataset, ClassTask, Dataset, Task
from featureconvex.device import device
from featureconvex.errors import UserError
from featureconvex.experiment.source import with_source
from featureconvex.files import writable_folder, write_text
from featureconvex.provenance import provenance
from featureconvex.report.folders import METHODS_FOLDER
from featureconvex.results.multi_class.record import OWN

ERROR_FILE, LOCK_FILE = "error.txt", ".lock"


class MethodFailedWarning(UserWarning):
    """A setting of a method is left out, with the reason; the others stay in the comparison."""


@dataclass(frozen=True)
class CompareSettings:
    """What a user may choose for a comparison.

    Attributes:
        methods: names separated by commas; None for all.
        limit: the first so many test points.
        costly_limit: fewer of them for methods whose certificates take long
            (:class:`featureconvex.baselines.CertifiedMethod`, ``costly``); None for all.
        samples: of noise per certificate, for sampling methods.
        epochs: of training, for every method; None leaves it to each.
        seed: of everything random.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        only: the settings to run, by names and values of theirs (``"norm l2, share 0.5"``), see
            :func:`featureconvex.baselines.description.has_words`; None for all. A method without such a
            setting is left alone.
    """

    methods: str | None = None
    limit: int = 1000
    samples: int = 100_000
    epochs: int | None = None
    seed: int = 0
    device: str = "auto"
    only: str | None = None
    costly_limit: int | None = None

    def __post_init__(self) -> None:
        for name in ("limit", "samples", "epochs", "costly_limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                option = f"--{name.replace('_', '-')}"
                raise UserError(f"{option} must be a whole number >= 1, got {value}")
        if self.seed < 0:
            raise UserError(f"--seed must be >= 0, got {self.seed}")
        if self.only is not None and not self.only.replace(",", " ").strip():
            raise UserError("--settings names no setting; leave it out to run all")


def compare(
    task: Task | ClassTask,
    out: Path,
    settings: CompareSettings,
    data_dir: Path | None = None,
    progress: bool = True,
) -> list[Path]:
    """Fit and certify every method on ``task``, and write everything below ``out``.

    A :class:`~featureconvex.data.ClassTask` compares methods for several classes, each of which is to stay
    what it is.

    A killed comparison goes on, step by step, when it is called again with the same settings.
    ``comparison.json`` and ``rows.parquet`` are written anew after every method, figures and
    ``report.html`` at the end. What ``out`` holds from earlier calls, or gets meanwhile from another one,
    stays in the comparison: other methods, and the settings that ``settings.only`` leaves alone. A setting
    that fails, or flags every point or none, is left out with its reason, and named in a
    :class:`MethodFailedWarning`; the others of its method stay.

    Returns:
        The files written, ``report.html`` last.

    Raises:
        UserError: a bad setting, missing data, results of other settings in ``out``, or no method that ran.
    """
    started = datetime.now(UTC)
    kinds = _kinds(task, settings.methods)
    place = device(settings.device)
    folder = writable_folder(out)
    dataset = task.load(data_dir)
    # A kept column that cannot be is refused before any training.
    with_source(pd.DataFrame(columns=list(OWN_COLUMNS)), dataset)
    data = comparison_data(dataset, settings.limit, settings.seed, settings.costly_limit)
    options = _options(dataset, data, settings, str(place))
    kinds = _asked(kinds, options, settings.only)
    head = _head(dataset, data, settings)
    results = kept_results(folder, head)
    _name_left_out(folder, {*results, *(kind.name for kind in kinds)})
    for kind in kinds:
        own = folder / METHODS_FOLDER / kind.name
        found = _run(kind, options, data, own, progress, settings.only)
        fits = [replace(fit, rows=with_source(fit.rows, dataset)) for fit in found.fits]
        result = replace(found, fits=fits)
        for setting, reason in result.failures:
            what = f"{kind.name} {setting_words(setting)}".rstrip()
            warnings.warn(f"{what} is left out: {reason}", MethodFailedWarning, stacklevel=2)
        # Another command may add methods, or settings of this one, between a look and the next.
        with FileLock(folder / LOCK_FILE):
            results = kept_results(folder, head)
            if settings.only is not None and kind.name in results:
                result = _joined(results[kind.name], result)
            results[kind.name] = result
            ordered = sorted(results.values(), key=lambda result: _place(result.method.name))
            now = cast("Head", {**head, "provenance": provenance(started)})
            write_comparison(Comparison(ordered, now), folder)
    # Loads matplotlib and plotly, which nothing before this line needs.
    from featureconvex.comparison.report.write import write_comparison_report

    written = write_comparison_report(folder)
    if not any(result.fits for result in results.values()):
        raise UserError(f"no method ran, so nothing is compared; {written[-1]} has the reasons")
    return written


def _kinds(task: Task | ClassTask, names: str | None) -> list[type[CertifiedMethod]]:
    found = find_class_methods if isinstance(task, ClassTask) else find_methods
    return list(found(names))


def _options(
    dataset: Dataset | ClassDataset, data: ComparisonData, settings: CompareSettings, place: str
) -> Options:
    names = ("seed", "epochs", "samples", "costly_limit")
    chosen = {name: getattr(settings, name) for name in names}
    given: dict[str, Any] = {"shape": data.shape, "task": dataset.name, **chosen, "device": place}
    if not data.classes:
        return Options(**given)
    return ClassOptions(**given, classes=len(data.classes), names=data.classes)


def _head(dataset: Dataset | ClassDataset, data: ComparisonData, settings: CompareSettings) -> Head:
    sizes = {"n_fitting": len(data.fitting), "n_validation": len(data.validation)}
    sizes["n_test"] = len(data.test)
    if isinstance(dataset, ClassDataset):
        named: dict[str, Any] = {"multi_class": OWN, "classes": list(data.classes), **sizes}
    else:
        names = {"sensitive_name": dataset.sensitive_name, "other_name": dataset.other_name}
        named = {**names, **sizes, "n_sensitive": int(data.counted.sum())}
    head = {
        "task": dataset.name,
        "shape": list(data.shape),
        **named,
        "unit": "pixels in [0, 1]" if len(data.shape) == 3 else "training standard deviations",
        "note": dataset.note,
        "samples": settings.samples,
        "epochs": settings.epochs,
        "seed": settings.seed,
        "data": data.digest,
    }
    return cast("Head", head)


def _asked(
    kinds: list[type[CertifiedMethod]], options: Options, only: str | None
) -> list[type[CertifiedMethod]]:
    """The methods that have a setting with the words of ``only``; the others are named in a warning.

    Raises:
        UserError: none has one.
    """
    if only is None:
        return kinds
    named: dict[type[CertifiedMethod], list[Setting]] = {}
    for kind in kinds:
        # What is wrong with the settings themselves is said where they are run.
        with suppress(Exception):
            named[kind] = settings_of(kind, options)
    having = {kind: any(has_words(one, only) for one in found) for kind, found in named.items()}
    without = [kind.name for kind, has in having.items() if not has]
    if len(without) == len(kinds):
        known = "; ".join(
            f"{kind.name}: {' | '.join(filter(None, map(setting_words, found))) or 'one without a name'}"
            for kind, found in named.items()
        )
        raise UserError(f"no method has a setting with {only!r}; there are {known}")
    if without:
        warnings.warn(
            f"without a setting with {only!r}, and left alone: {', '.join(without)}",
            MethodFailedWarning,
            stacklevel=3,
        )
    return [kind for kind in kinds if having.get(kind, True)]


def _run(
    kind: type[CertifiedMethod],
    options: Options,
    data: ComparisonData,
    folder: Path,
    progress: bool,
    only: str | None,
) -> MethodResult:
    """The settings of one method that have the words of ``only``, and why some are left out."""
    described, fits, failures = Description.of(kind), [], []
    try:
        settings = [one for one in settings_of(kind, options) if has_words(one, only or "")]
    except Exception as error:
        return MethodResult(described, failures=[_failure({}, error, folder)])
    for setting in settings:
        own = folder / _folder_name(setting)
        try:
            fit = run_one_fit(kind(options, setting), data, own, progress)
        except AnotherComparisonError:
            raise
        except Exception as error:
            _stop_if_interrupted(error)
            # Whatever one setting does, the others' results stand; the report shows the reason.
            failures.append(_failure(setting, error, own))
            continue
        (own / ERROR_FILE).unlink(missing_ok=True)
        reason = _useless(fit)
        if reason is None:
            fits.append(fit)
        else:
            failures.append(Failure(setting, reason))
    return MethodResult(described, fits, failures)


def _joined(earlier: MethodResult, later: MethodResult) -> MethodResult:
    """The later one, and the earlier one's settings that it is not about."""
    again = [fit.record["setting"] for fit in later.fits]
    again += [failure.setting for failure in later.failures]
    fits = [fit for fit in earlier.fits if fit.record["setting"] not in again]
    # Without a setting it was about the whole method.
    failures = [one for one in earlier.failures if one.setting and one.setting not in again]
    return MethodResult(later.method, [*fits, *later.fits], [*failures, *later.failures])


def _name_left_out(folder: Path, compared: set[str]) -> None:
    """Warn of methods that an earlier command fitted and whose results were lost since."""
    there = sorted(path.name for path in (folder / METHODS_FOLDER).glob("*") if path.is_dir())
    lost = [name for name in there if name not in compared]
    if lost:
        warnings.warn(
            f"{folder / METHODS_FOLDER} has fits of {', '.join(lost)}, too, which this command does not "
            "name; name them in --methods, and they join without being fitted again",
            MethodFailedWarning,
            stacklevel=3,
        )


def _useless(fit: OneFit) -> str | None:
    """Why a fit is not compared; None if it is."""
    flags = fit.rows["predicted"]
    if (flags == flags.iloc[0]).all():
        # Who flags everything certifies everything, by any radius, and would lead every table.
        if fit.classes:
            return f"no classifier, as it takes every test point for {flags.iloc[0]!r}"
        return f"no detector, as it flags {'every' if flags.iloc[0] else 'no'} test point"
    if fit.classes:
        return None if fit.right.any() else "no classifier, as it recognises no test point"
    asked = min([len(flags), *filter(None, fit.record["covered"].values())])
    if (fit.counted & fit.right)[:asked].any():
        return None
    return (
        f"nothing to certify, as it flags no sensitive one of the first {asked} test points; use a larger "
        "--limit or --costly-limit"
    )


def _stop_if_interrupted(error: BaseException) -> None:
    """Ctrl-C stays what it is where code on the way made another error of it.

    Raises:
        KeyboardInterrupt: the error comes from one.
    """
    before: BaseException | None = error
    while before is not None:
        if isinstance(before, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        before = before.__cause__ or before.__context__


def _failure(setting: Setting, error: Exception, folder: Path) -> Failure:
    """The reason in one line; the whole traceback beside the results."""
    # Where the error is that nothing can be written there, its reason still goes into the report.
    with suppress(OSError):
        write_text(folder / ERROR_FILE, "".join(traceback.format_exception(error)))
    kind = "" if isinstance(error, UserError) else type(error).__name__
    return Failure(setting, ": ".join(filter(None, (kind, str(error)))))


def _place(name: str) -> int:
    """In tables and figures; methods that are not registered here come last.

    Those for several classes have the names and the order of those for one.
    """
    return list(METHODS).index(name) if name in METHODS else len(METHODS)


def _folder_name(setting: Any) -> str:
    return setting_words(setting).replace(" ", "-").replace(",", "") or "only"
