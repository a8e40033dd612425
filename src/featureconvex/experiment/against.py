"""What to certify against: what a command line says, and the attacker of the model's schema."""

from collections.abc import Sequence
from dataclasses import dataclass

from featureconvex.certificates import Domain, Edits, Level, Lp, Threat
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
        threats: ``"edits"`` for the schema's prices; None: these where the user ``described`` the table,
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
    priced = Edits.NAME in threats
    if attacker is None:
        if priced or cost is not None:
            raise UserError(
                "this model has no columns with standard deviations, so there are no prices for --threat "
                "edits or --cost; train it on a table with `featureconvex run`"
            )
        plain = [threat for threat in threats if isinstance(threat, Threat)]
        return Plan(plain, domain, level or ("domain" if domain is not None else "closed-form"))
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
