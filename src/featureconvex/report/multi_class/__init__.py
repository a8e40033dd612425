"""The report of a run of several classes: words, tables, charts and figures that only such a run has."""
