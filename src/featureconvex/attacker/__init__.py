"""The attacker that a schema describes, and what it can do to a row in words."""

from featureconvex.attacker.attacker import Attacker, schema_of_columns
from featureconvex.attacker.change import change_in_words

__all__ = ["Attacker", "change_in_words", "schema_of_columns"]
