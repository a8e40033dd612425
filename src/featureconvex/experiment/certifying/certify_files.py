"""Certify a user's own inputs with a stored model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import Tensor

from featureconvex.certificates import Domain, Level, Threat
from featureconvex.certificates.levels import level_named
from featureconvex.data.files.contents import shown
from featureconvex.data.files.listing import left_out
from featureconvex.data.files.slack import check_named, read_slack
from featureconvex.data.inputs.beginning import check_beginning, check_places, model_folder
from featureconvex.data.inputs.pieces import expanded, extent, kind_of_input, names_of
from featureconvex.data.meaning import Meaning
from featureconvex.data.tables.frame import STANDARD_INPUT
from featureconvex.errors import UserError
from featureconvex.experiment.certifying.against import Plan, check_level, planned
from featureconvex.experiment.certifying.certifier import Certifier
from featureconvex.experiment.certifying.ranges import Range, boxed
from featureconvex.experiment.certifying.rows import Rows
from featureconvex.experiment.certifying.summary import Summary
from featureconvex.experiment.certifying.workers import workers
from featureconvex.given import whole_number
from featureconvex.progress import progress_bar, remark


def certify_files(
    model_path: Path,
    inputs: Path | Sequence[Path],
    out: Path,
    threats: Sequence[Threat | str] | None = None,
    domain: Domain | None = None,
    level: str | Level | None = "closed-form",
    keep: tuple[str, ...] = (),
    progress: bool = False,
    cost: str | None = None,
    jobs: int = 1,
    slack: Path | None = None,
    ranges: Mapping[str, Range] | None = None,
    training_range: bool = False,
    form: Mapping[str, Any] | None = None,
) -> Summary:
    """Certify every row of the inputs in bounded memory, and write one row each.

    Rows are kept in ``OUT.parts`` as they come, and a job that was killed continues there when it is asked
    for again; ``out`` appears when it is whole. An input row or file that cannot be read is a row with
    status ``unreadable``.

    Args:
        model_path: a run's folder, its ``model`` folder, or what ``save`` wrote.
        inputs: whatever a model can be trained on, and ``.npy`` or ``.npz`` (one array, (n, ...)):
            tables and folders of tables (columns are found by the names the model was trained on, others
            are ignored; ``-`` is CSV on standard input), example files and folders of them.
        out: ``.csv`` or ``.parquet``, or ``-`` for CSV on standard output.
        threats: what budgets measure; ``"edits"`` for the prices of the model's schema, ``"append"``,
            ``"insert"`` or ``"change"``, also ``"append:64"``, for files. None: these, and
            ``Lp(2)`` for a model without a schema of its own.
        domain: where the attacker may move; None: where the schema says, for its prices.
        level: of the certificates; None: ``"domain"`` where the attacker is held to something, else
            ``"closed-form"``.
        cost: for norms: ``"std"``, one per training standard deviation, or ``"schema"``, its prices.
        keep: columns of the tables to carry along.
        progress: show a bar and remarks on standard error.
        jobs: processes that work at a time.
        slack: a CSV file (``file``, ``offset``, ``length``) of places that may be filled with any bytes:
            a radius of all of a file's bytes of slack, or 0.
        ranges: of single columns of numbers, for the attacker.
        training_range: hold the attacker to the range that every column had in training.
        form: of CSV tables, fields of :class:`~featureconvex.data.schema.TableForm` in place of those of
            the model's.

    Returns:
        How many rows have each status. The rows themselves have: ``input`` (of several), ``row`` (source
        row from 0, or file name), the columns kept, ``index`` (position in a table or array) or ``file``,
        ``predicted`` (1: sensitive), ``predicted_class``, ``margin``, then status and radius per threat,
        and how many features are outside the training range. A row without a margin has no prediction. A
        missing cell makes its row ``non_finite``; a category that training never saw, ``unknown_category``.

    Raises:
        UserError: nothing that can be read or fits the model, or an ``out`` of another kind.
    """
    given = [inputs] if isinstance(inputs, Path) else list(inputs)
    check_places(given, out)
    jobs = whole_number("jobs", jobs, 1)
    place = model_folder(model_path)
    bare = Certifier(place, Plan([], None, "closed-form"), keep, dict(form or {}))
    span = bare.span if training_range else None
    if training_range and span is None:
        raise UserError("this model does not know the range of its training rows; use --range")
    domain = boxed(domain, ranges or {}, span, bare.names, bare.meaning.blocks)
    certifier = _certifier(bare, threats, domain, level, cost, slack)
    meaning = certifier.meaning
    check_beginning(given, meaning, keep)
    if progress and certifier.plan.sentence:
        remark(certifier.plan.sentence)
    paths = [file for path in given for file in expanded(path, meaning)]
    if len({_is_example(path, meaning) for path in paths if path.exists()}) > 1:
        raise UserError("some inputs are tables and others example files; certify them apart")
    if certifier.plan.slack is not None:
        check_named(certifier.plan.slack, [n for path in paths for n in names_of(path, meaning)])
    asked = {
        "model": _stamp(place),
        "inputs": [[shown(path), _stamp(path)] for path in paths],
        "options": [
            repr(threats),
            _words(domain),
            repr(level),
            cost,
            list(keep),
            None if slack is None else _stamp(slack),
            repr(meaning.form),
        ],
    }
    for path in paths if progress else ():
        if path.is_dir() and (odd := left_out(path)):
            remark(
                f"{shown(path)}: what is no file is left out, such as {shown(odd.name)}; a folder in it "
                "can be an input of its own"
            )
    rows = Rows(paths, out, Summary(certifier.plan.sentence, certifier.units), progress)
    title = f"certify ({level_named(certifier.plan.level).name})"
    with (
        progress_bar(title, _extent(paths, meaning), progress) as tick,
        workers(certifier, jobs) as work,
    ):
        for item, outcome in work(rows.todo(meaning, asked)):
            rows.put(item, outcome)
            tick(item.size, f"{rows.summary.rows} rows")
    rows.finish()
    return rows.summary


def _certifier(
    bare: Certifier,
    threats: Sequence[Threat | str] | None,
    domain: Domain | None,
    level: str | Level | None,
    cost: str | None,
    slack: Path | None,
) -> Certifier:
    known = None if slack is None else read_slack(slack)
    plan = planned(bare.model, threats, domain, level, cost, bare.described, known)
    check_level(plan)
    return replace(bare, plan=plan)


def _is_example(path: Path, meaning: Meaning) -> bool:
    try:
        return kind_of_input(path, meaning) == "files"
    except UserError:  # which its turn will tell
        return False


def _stamp(path: Path) -> list[Any]:
    """What changes when a file, or one of a folder, does."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    found = [(str(file), file.stat()) for file in files if file.exists()]
    words = repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in found])
    return [shown(path.resolve()), sha256(words.encode()).hexdigest()]


def _words(domain: Domain | None) -> str:
    """Of a domain: its own, which may leave numbers out, and these."""
    ends = [
        getattr(domain, name, None) for name in ("lo", "hi", "ranges", "immutable", "direction")
    ]
    return repr([domain, *(end.tolist() if isinstance(end, Tensor) else end for end in ends)])


def _extent(paths: list[Path], meaning: Meaning) -> int | None:
    known = [extent(path, meaning) for path in paths if path.exists() or path == STANDARD_INPUT]
    return None if None in known else sum(size for size in known if size is not None)
