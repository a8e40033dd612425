"""Training in another norm than the one asked for, with every radius said in the latter."""

from dataclasses import dataclass

from featureconvex.training.recipes import Recipe


@dataclass(frozen=True)
class Exchange:
    """Radii of the norm that is trained, as radii of the norm that was asked for.

    Norm equivalence: for ``trained <= asked`` in d coordinates, ``||x||_trained`` is at most ``factor``
    times ``||x||_asked``, so a radius r in the former holds for ``r / factor`` in the latter.

    Attributes:
        asked, trained: exponents.
        factor: ``d^(1/trained - 1/asked)``.
    """

    asked: float
    trained: float
    factor: float

    @classmethod
    def between(cls, asked: float, trained: float, dimension: int) -> "Exchange":
        """The exchange in ``dimension`` coordinates; of one norm with itself, nothing changes."""
        return cls(asked, trained, dimension ** (1 / trained - 1 / asked))

    def recipe(self, recipe: Recipe) -> Recipe:
        """A recipe in the norm asked for as one in the norm that is trained."""
        given = {name: getattr(recipe, name) for name in ("temperature", "other_temperature")}
        changes = {k: value * self.factor for k, value in given.items() if value is not None}
        return recipe.replace(norm=self.trained, **changes)

    def radius(self, trained: float) -> float:
        """A radius (or a temperature, which is one) in the norm asked for."""
        return trained * (1 / self.factor)


SAME = Exchange(2.0, 2.0, 1.0)
"""Nothing to exchange: radii stay as they are, whatever their norm."""
