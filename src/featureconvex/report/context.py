"""What the templates of every run's report are given, whatever is asked of its classes."""

from typing import Any

from featureconvex.report.tables import accuracy_table, median_table, runtime_table, threat_lines
from featureconvex.report.wording import unavailable_texts
from featureconvex.results.numbers import unit_name
from featureconvex.results.radius_rows import RadiusRows


def shared_context(run: RadiusRows) -> dict[str, Any]:
    """The record, the tables of radii and of costs, threats, units and statuses."""
    return {
        "record": run.record,
        "n_test": len(run.rows),
        "unavailable": unavailable_texts(run.record),
        "threats": threat_lines(run),
        "medians": [median_table(run, unit) for unit in run.units],
        "units": [unit_name("l2", unit, run.record["kind"]) for unit in run.units],
        "accuracy": [accuracy_table(run, threat) for threat in run.threats(run.unit)],
        "runtime": runtime_table(run),
        "statuses": run.rows["status"].value_counts().to_dict(),
    }
