"""The attacker of a table: numeric moves have a price per unit, categories and booleans one per edit."""

from featureconvex.certificates.threats.edits.threat import Edits

__all__ = ["Edits"]
