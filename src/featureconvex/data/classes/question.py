"""What a user asks of the classes of a table or folder, before any of them is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from featureconvex.data.classes.own import OwnClasses
from featureconvex.data.classes.sensitive import SensitiveClasses, check_several, choose_sensitive
from featureconvex.data.classes.sides import Sides
from featureconvex.data.task import Loads


class Question(Protocol[Loads]):
    """What a user asks of the classes of a table or folder, before any of them is known."""

    @property
    def options(self) -> list[str]:
        """The words of the command line that ask it."""

    def sides(self, classes: Sequence[str], origin: str) -> Sides[Loads]:
        """The same for the classes that were found, in order; raises UserError where it has no answer."""


@dataclass(frozen=True)
class Sensitive:
    """Are these classes left?

    Attributes:
        named: as in :func:`choose_sensitive`.
    """

    named: str | None

    @property
    def options(self) -> list[str]:
        """The words of the command line that ask it."""
        return [] if self.named is None else ["--sensitive", self.named]

    def sides(self, classes: Sequence[str], origin: str) -> SensitiveClasses:
        """Which of the classes they are."""
        return choose_sensitive(classes, self.named, origin)


@dataclass(frozen=True)
class EachItsOwn:
    """Does each row stay in its own class?"""

    @property
    def options(self) -> list[str]:
        """None of a command that only looks."""
        return []

    def sides(self, classes: Sequence[str], origin: str) -> OwnClasses:
        """All of them.

        Raises:
            UserError: fewer than two.
        """
        check_several(classes, origin)
        return OwnClasses(tuple(classes))
