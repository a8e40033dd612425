"""From a run's rows, record and examples to curves, metrics, figures and a report.

Everything here is a function of three files in the run's folder (see ``Run``): no model, no data set.
``featureconvex.report.report.write_report`` rebuilds all that is derived; it lives in a module of
its own because it needs matplotlib and plotly, which this package does not import.
"""

from featureconvex.results.curves import (
    CertifiedCurve,
    average_certified_radius,
    certified_curve,
    median_radius,
)
from featureconvex.results.detection import (
    Confusion,
    Roc,
    area_under_curve,
    certified_recall,
    confusion,
    roc_curve,
    shifted_radii,
    threshold_at,
)
from featureconvex.results.examples import (
    Examples,
    choose_examples,
    read_examples,
    write_examples,
)
from featureconvex.results.folder import Run, read_run
from featureconvex.results.intervals import clopper_pearson
from featureconvex.results.metrics import derive_metrics, write_metrics
from featureconvex.results.record import read_record, validate_record, write_record
from featureconvex.results.rows import read_rows, validate_rows, write_rows

__all__ = [
    "CertifiedCurve",
    "Confusion",
    "Examples",
    "Roc",
    "Run",
    "area_under_curve",
    "average_certified_radius",
    "certified_curve",
    "certified_recall",
    "choose_examples",
    "clopper_pearson",
    "confusion",
    "derive_metrics",
    "median_radius",
    "read_examples",
    "read_record",
    "read_rows",
    "read_run",
    "roc_curve",
    "shifted_radii",
    "threshold_at",
    "validate_record",
    "validate_rows",
    "write_examples",
    "write_metrics",
    "write_record",
    "write_rows",
]
