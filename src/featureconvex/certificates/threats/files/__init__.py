"""Threats to files that a model sees as counts of bytes or byte n-grams."""

from featureconvex.certificates.threats.files.threat import (
    Append,
    Change,
    FileThreat,
    Insert,
    Slack,
)

__all__ = ["Append", "Change", "FileThreat", "Insert", "Slack"]
