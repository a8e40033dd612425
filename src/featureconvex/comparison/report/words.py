"""What the points of a comparison are called, and what a method does with those that count."""

from featureconvex.comparison.schema import ComparisonTables


def points_words(tables: ComparisonTables) -> str:
    """The test points behind a curve."""
    return "test points" if "classes" in tables else "sensitive test points"


def counted_words(tables: ComparisonTables) -> str:
    """Those that are predicted as what they are to stay, with as large a radius."""
    return f"{'recognised' if 'classes' in tables else 'flagged'} and certified"
