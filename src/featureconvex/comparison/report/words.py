"""What the points of a comparison are called, and what a method does with those that count."""

from featureconvex.comparison.schema import ComparisonTables


def points_words(tables: ComparisonTables) -> str:
    """The test points behind a curve."""
    return "test points" if "classes" in tables else "sensitive test points"


def kept_words(tables: ComparisonTables) -> str:
    """Predicted as what they are to stay."""
    return "recognised" if "classes" in tables else "flagged"


def counted_words(tables: ComparisonTables) -> str:
    """Those above a radius."""
    return f"{kept_words(tables)} and certified"
