"""Worked examples: each answers a data owner's question, in numbers and one picture."""
