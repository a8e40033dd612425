"""The attacker that a schema describes, what is asked about it, and what it can do to a row in words."""

from featureconvex.attacker.attacker import Attacker, schema_of_columns
from featureconvex.attacker.change import change_in_words
from featureconvex.attacker.question import question

__all__ = ["Attacker", "change_in_words", "question", "schema_of_columns"]
