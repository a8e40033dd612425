"""What a model sees of a file."""

from featureconvex.data.files.byte_counts import ByteCounts
from featureconvex.data.files.byte_plot import BytePlot
from featureconvex.errors import UserError

Representation = ByteCounts | BytePlot


def representation(text: str, most: int | None = None) -> Representation:
    """What a user typed: ``histogram``, ``ngrams:2``, ``plot:1024``; with a cap in bytes.

    Raises:
        UserError: anything else.
    """
    if text.startswith("plot"):
        return BytePlot.named(text, most)
    try:
        return ByteCounts.named(text, most)
    except UserError as error:
        raise UserError(f"{error}; or plot:VALUES") from error
