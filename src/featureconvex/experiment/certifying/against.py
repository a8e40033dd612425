"""What to certify against: what a command line says, and the attacker of the model's schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from featureconvex.attacker import Attacker, question
from featureconvex.certificates import (
    L0,
    Append,
    Change,
    Domain,
    Edits,
    Insert,
    Level,
    Lp,
    Patch,
    Slack,
    Threat,
)
from featureconvex.certificates.levels import level_named
from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.data.files.byte_plot import BytePlot
from featureconvex.data.files.slack import Run
from featureconvex.detector import Described
from featureconvex.errors import UserError
from featureconvex.experiment.certifying.plots import OnPlot
from featureconvex.given import one_of
from featureconvex.models.multi_class import MultiClassModel

PRICES_ASIDE = (
    "The schema's prices are set aside, as the command says where or at what cost the attacker moves: "
    "changes are measured in l2, in units of the columns unless --cost says otherwise; --threat edits "
    "certifies the prices."
)


@dataclass(frozen=True)
class Plan:
    """Threats, domain and level; the attacker of a schema in words, slack by file, questions on plots.

    ``priced`` is the unit of norms whose columns have prices, empty without these.
    """

    threats: list[Threat]
    domain: Domain | None
    level: str | Level
    sentence: str = ""
    slack: Mapping[str, Sequence[Run]] | None = None
    plots: tuple[OnPlot, ...] = ()
    priced: str = ""


def planned(
    model: object,
    threats: Sequence[Threat | str] | None,
    domain: Domain | None,
    level: str | Level | None,
    cost: str | None,
    described: bool,
    slack: Mapping[str, Sequence[Run]] | None = None,
) -> Plan:
    """Fill in what was not said.

    Args:
        model: a detector, or anything else, which has no schema.
        threats: ``"edits"`` for the schema's prices, ``"append"``, ``"insert:64"`` and
            the like for files; None: these where the user ``described`` the table,
            and ``Lp(2)`` elsewhere.
        domain, level: None: as :func:`featureconvex.attacker.question`.
        cost: of norms, ``"std"`` or ``"schema"``; None: 1.
        described: whether the schema is the user's own.
        slack: of each file, to be filled with any bytes; None where nobody asks.

    Raises:
        UserError: prices of a model that has none, or a threat that needs a domain and has none.
    """
    if isinstance(model, MultiClassModel):
        _refuse_places_in_files(model, threats, slack)
    if isinstance(model, Described) and model.meaning.plotted:
        texts = _about_files(threats)
        if Slack.NAME in texts and slack is None:
            raise _unknown_slack()
        if texts or slack is not None:
            if level is not None and not level_named(level).uses_domain:
                raise UserError(f"level {level_named(level).name} does not know where a file ends")
            plots = tuple(OnPlot(*_parsed(text)) for text in texts if text != Slack.NAME)
            left = [threat for threat in threats or () if threat not in texts]
            plan = _of_one_row(model, left, domain, level or "domain", cost, described)
            return replace(plan, plots=plots, slack=slack)
    if slack is not None:
        check_counted("slack", model)
        others = [threat for threat in threats or [] if threat != Slack.NAME]
        plan = _of_one_row(model, [*others, Slack()], domain, level, cost, described)
        kept = [threat for threat in plan.threats if not isinstance(threat, Slack)]
        return replace(plan, threats=kept, slack=slack)
    return _of_one_row(model, threats, domain, level, cost, described)


def _about_files(threats: Sequence[Threat | str] | None) -> list[str]:
    """Those that are words about files."""
    return [text for text in threats or () if isinstance(text, str) and text != Edits.NAME]


def _of_one_row(
    model: object,
    threats: Sequence[Threat | str] | None,
    domain: Domain | None,
    level: str | Level | None,
    cost: str | None,
    described: bool,
) -> Plan:
    """The plan where a row says all that threats are about."""
    attacker = model.attacker if isinstance(model, Described) else None
    aside = ""
    if threats is None:
        priced = described and attacker is not None
        own = priced and domain is None and cost is None
        threats = [Edits.NAME] if own else [Lp(2)]
        aside = PRICES_ASIDE if priced and not own else ""
    threats = [
        threat if isinstance(threat, Threat) or threat == Edits.NAME else _of_files(threat, model)
        for threat in threats
    ]
    needing = [threat for threat in threats if isinstance(threat, L0 | Patch)]
    if needing and domain is None and not described:
        raise UserError(
            f"--threat {needing[0].name} needs --box LO HI: a value that may become anything can decide "
            "alone"
        )
    if attacker is None:
        if Edits.NAME in threats or cost is not None:
            raise UserError(
                "this model has no columns with standard deviations, so there are no prices for --threat "
                "edits or --cost; train it on a table with `featureconvex run`"
            )
        plain = [threat for threat in threats if isinstance(threat, Threat)]
        asked = question(None, plain, domain, level)
        return Plan(plain, asked.domain, asked.level)
    if cost is not None:
        one_of("cost", cost, ("std", "schema"))
    found = [_priced(threat, attacker, cost) for threat in threats]
    asked = question(attacker, found, domain, level)
    units = {"std": "training standard deviations", "schema": attacker.schema.unit}
    priced_in = "" if cost is None else units[cost]
    return Plan(found, asked.domain, asked.level, asked.sentence or aside, priced=priced_in)


def _priced(threat: Threat | str, attacker: Attacker, cost: str | None) -> Threat:
    """Edits at the attacker's prices, and norms at those asked for."""
    if isinstance(threat, str):
        return attacker.threat
    if cost is None or not isinstance(threat, Lp):
        return threat
    return Lp(threat.p, attacker.cost if cost == "std" else attacker.unit_costs)


def _refuse_places_in_files(
    model: object, threats: Sequence[Threat | str] | None, slack: object
) -> None:
    """What depends on where a file ends, or on its slack, is proved for one sensitive class.

    Raises:
        UserError: such a question.
    """
    plotted = isinstance(model, Described) and model.meaning.plotted
    texts = _about_files(threats)
    if slack is not None or Slack.NAME in texts or (plotted and texts):
        raise UserError(
            "slack of files, and operations on plots of files, are certified for one sensitive class, and "
            "this model has several that each stay what they are; train with --sensitive in place of "
            "--multi-class own"
        )


def check_level(plan: Plan) -> None:
    """Refuse a level that is blind to what is asked, before anything is read.

    Raises:
        UserError: level ``closed-form`` for anything but norms.
    """
    level = level_named(plan.level)
    blind = [threat for threat in plan.threats if threat.exponent is None]
    if blind and not level.uses_domain:
        raise UserError(
            f"level {level.name} certifies norms only, not {blind[0].name}; use --level domain, tight or "
            "sound"
        )


def _of_files(text: str, model: object) -> Threat:
    """``append``, ``insert`` or ``change``, with ``:K`` for that many bytes only.

    Raises:
        UserError: something else, or a model that does not count bytes.
    """
    name, size = _parsed(text)
    if name == Slack.NAME:
        raise _unknown_slack()
    kinds = {kind.NAME: kind for kind in (Append, Insert, Change)}
    counts = check_counted(f"threat {name}", model)
    return kinds[name](counts.ngram, size, counts.most)


def _unknown_slack() -> UserError:
    return UserError("--threat slack needs to know where it is: --slack CSV")


def _parsed(text: str) -> tuple[str, int | None]:
    """The name of an operation on files, and a number of bytes where it is said."""
    name, _, size = text.partition(":")
    known = (*(kind.NAME for kind in (Append, Insert, Change)), Slack.NAME)
    if name not in known or (":" in text and not size.isdecimal()):
        raise UserError(f"a threat to files is append, insert or change, or append:K, got {text!r}")
    return name, int(size) if size else None


def check_counted(asked: str, model: object) -> ByteCounts:
    """What a model counts in files.

    Raises:
        UserError: it was trained on something else.
    """
    meaning = model.meaning if isinstance(model, Described) else None
    if meaning is None or meaning.files != "other files":
        raise UserError(
            f"--{asked} is about files that were counted, byte by byte or as n-grams, and this model "
            "was trained on other inputs: what it does to them is not known"
        )
    if isinstance(meaning.counts, BytePlot):
        raise UserError(f"--{asked} is about counts of files, and this model sees plots of them")
    return meaning.counts or ByteCounts()
