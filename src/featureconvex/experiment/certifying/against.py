"""What to certify against: what a command line says, and the attacker of the model's schema."""

from collections.abc import Sequence
from dataclasses import dataclass

from featureconvex.certificates import (
    Append,
    Change,
    Domain,
    Edits,
    Insert,
    Level,
    Lp,
    Threat,
)
from featureconvex.certificates.threats import FileThreat
from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.detector import Detector
from featureconvex.errors import UserError
from featureconvex.given import one_of


@dataclass(frozen=True)
class Plan:
    """Threats, domain and level, and the attacker in words where a schema describes it."""

    threats: list[Threat]
    domain: Domain | None
    level: str | Level
    sentence: str = ""


def planned(
    model: object,
    threats: Sequence[Threat | str] | None,
    domain: Domain | None,
    level: str | Level | None,
    cost: str | None,
    described: bool,
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

    Raises:
        UserError: prices of a model that has none.
    """
    attacker = model.attacker if isinstance(model, Detector) else None
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
    kinds = {kind.NAME: kind for kind in (Append, Insert, Change)}
    if name not in kinds or (":" in text and not size.isdecimal()):
        raise UserError(f"a threat to files is append, insert or change, or append:K, got {text!r}")
    meaning = model.meaning if isinstance(model, Detector) else None
    if meaning is None or meaning.files != "other files":
        raise UserError(
            f"--threat {name} is about files that were counted, byte by byte or as n-grams, and this model "
            "was trained on other inputs: what it does to them is not known"
        )
    counts = meaning.counts or ByteCounts()
    return kinds[name](counts.ngram, int(size) if size else None, counts.most)
