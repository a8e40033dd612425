"""What to certify against: what a command line says, and the attacker of the model's schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from featureconvex.certificates import (
    Append,
    Change,
    Domain,
    Edits,
    Insert,
    Level,
    Lp,
    Slack,
    Threat,
)
from featureconvex.certificates.threats import FileThreat
from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.data.files.slack import Run
from featureconvex.detector import Detector
from featureconvex.errors import UserError
from featureconvex.given import one_of


@dataclass(frozen=True)
class Plan:
    """Threats, domain and level, the attacker in words where a schema describes it, and slack by file."""

    threats: list[Threat]
    domain: Domain | None
    level: str | Level
    sentence: str = ""
    slack: Mapping[str, Sequence[Run]] | None = None


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
        domain: None: that of the schema, for its prices.
        level: None: ``"domain"`` where the attacker is held to something, else ``"closed-form"``.
        cost: of norms, ``"std"`` or ``"schema"``; None: 1.
        described: whether the schema is the user's own.
        slack: of each file, to be filled with any bytes; None where nobody asks.

    Raises:
        UserError: prices of a model that has none.
    """
    attacker = model.attacker if isinstance(model, Detector) else None
    if slack is not None:
        check_counted("slack", model)
        others = [threat for threat in threats or [] if threat != Slack.NAME]
        plan = planned(model, [*others, Slack()], domain, level, cost, described)
        kept = [threat for threat in plan.threats if not isinstance(threat, Slack)]
        return replace(plan, threats=kept, slack=slack)
    if threats is None:
        own = described and attacker is not None and domain is None and cost is None
        threats = [Edits.NAME] if own else [Lp(2)]
    threats = [
        threat if isinstance(threat, Threat) or threat == Edits.NAME else _of_files(threat, model)
        for threat in threats
    ]
    priced = Edits.NAME in threats
    if attacker is None:
        if priced or cost is not None:
            raise UserError(
                "this model has no columns with standard deviations, so there are no prices for --threat "
                "edits or --cost; train it on a table with `featureconvex run`"
            )
        plain = [threat for threat in threats if isinstance(threat, Threat)]
        held = domain is not None or any(isinstance(threat, FileThreat) for threat in plain)
        return Plan(plain, domain, level or ("domain" if held else "closed-form"))
    found: list[Threat] = []
    for threat in threats:
        if isinstance(threat, str):
            found.append(attacker.threat)
        elif cost is not None and isinstance(threat, Lp):
            one_of("cost", cost, ("std", "schema"))
            found.append(Lp(threat.p, attacker.cost if cost == "std" else attacker.unit_costs))
        else:
            found.append(threat)
    held = priced or domain is not None
    if domain is not None:
        domain = attacker.without_filling(domain)
    elif priced:
        domain = attacker.domain
    sentence = attacker.sentence if priced else ""
    return Plan(found, domain, level or ("domain" if held else "closed-form"), sentence)


def _of_files(text: str, model: object) -> Threat:
    """``append``, ``insert`` or ``change``, with ``:K`` for that many bytes only.

    Raises:
        UserError: something else, or a model that does not count bytes.
    """
    name, _, size = text.partition(":")
    if name == Slack.NAME:
        raise UserError("--threat slack needs to know where it is: --slack CSV")
    kinds = {kind.NAME: kind for kind in (Append, Insert, Change)}
    if name not in kinds or (":" in text and not size.isdecimal()):
        raise UserError(f"a threat to files is append, insert or change, or append:K, got {text!r}")
    counts = check_counted(f"threat {name}", model)
    return kinds[name](counts.ngram, int(size) if size else None, counts.most)


def check_counted(asked: str, model: object) -> ByteCounts:
    """What a model counts in files.

    Raises:
        UserError: it was trained on something else.
    """
    meaning = model.meaning if isinstance(model, Detector) else None
    if meaning is None or meaning.files != "other files":
        raise UserError(
            f"--{asked} is about files that were counted, byte by byte or as n-grams, and this model "
            "was trained on other inputs: what it does to them is not known"
        )
    return meaning.counts or ByteCounts()
