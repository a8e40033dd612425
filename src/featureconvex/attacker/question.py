"""What is certified where a caller leaves something out: one rule for Python and the command line."""

from collections.abc import Sequence
from dataclasses import dataclass

from featureconvex.attacker.attacker import Attacker
from featureconvex.certificates import Domain, Edits, Level, Lp, Threat

OWN_PLACES = (
    "where the attacker may move is what was asked for; ranges, directions and fixed columns of a "
    "schema do not count."
)


@dataclass(frozen=True)
class Question:
    """Threats, a domain (None: everywhere) and a level; the attacker in words where a schema has a say."""

    threats: tuple[Threat, ...]
    domain: Domain | None
    level: str | Level
    sentence: str = ""


def question(
    attacker: Attacker | None,
    threats: Sequence[Threat] | None = None,
    domain: Domain | None = None,
    level: str | Level | None = None,
) -> Question:
    """Fill in what was not said.

    Args:
        attacker: of the model's schema; None where it has none.
        threats: None: the schema's prices, ``Lp(2)`` without one.
        domain: None: where the schema says, unless all threats are norms; these are about changes
            anywhere. In a domain of the caller's own what is missing stays missing, too.
        level: None: ``"closed-form"`` for norms everywhere, else ``"domain"``.
    """
    if threats is None:
        threats = [Lp(2) if attacker is None else attacker.threat]
    norms = all(isinstance(threat, Lp) for threat in threats)
    priced = any(isinstance(threat, Edits) for threat in threats)
    held = domain is not None or not norms
    sentence = ""
    if attacker is not None and domain is not None:
        domain = attacker.without_filling(domain)
        prices = "Prices are the schema's; " if priced else ""
        sentence = "" if norms else f"{prices}{OWN_PLACES}"
        sentence = sentence[:1].upper() + sentence[1:]
    elif attacker is not None and held:
        domain = attacker.domain
        sentence = attacker.sentence if priced else attacker.moves_sentence
    default = "domain" if held else "closed-form"
    return Question(tuple(threats), domain, default if level is None else level, sentence)
