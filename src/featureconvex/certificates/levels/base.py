"""What a certification level is: a name, a promise, options, and a bound for every problem."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from featureconvex.certificates.certificate import Guarantee
from featureconvex.certificates.levels.problem import Bound, Problem, Proof


class Level(ABC):
    """How radii are proved. A subclass is a frozen dataclass whose fields are its options.

    A subclass names itself and writes :meth:`bound`; options are checked as they are given. Level
    ``sound`` can be based on any level: it takes the radii of :meth:`proof` as candidates, and proves them
    again.

    Attributes:
        name: as in ``Certificate.level``, tables and columns.
        guarantee: what kind of promise a radius is.
        uses_domain: False for a level whose radius holds everywhere.
    """

    name: ClassVar[str]
    guarantee: ClassVar[Guarantee] = Guarantee.deterministic
    uses_domain: ClassVar[bool] = True

    @abstractmethod
    def bound(self, problem: Problem) -> Bound:
        """A proved radius for every row of the problem.

        Raises:
            UserError: a threat, network or feature map that the level has no proof for.
        """

    def proof(self, problem: Problem) -> Proof:
        """The bound, and the minorants that prove it where they are not the tangents at x."""
        return Proof(self.bound(problem))

    def without_attacks(self) -> Self:
        """The same level, but with no time spent on upper bounds."""
        return self

    def check_settings(self) -> None:  # noqa: B027 -- most levels have nothing to refuse
        """Refuse settings of the process under which the level's promise would not hold.

        Raises:
            UserError: naming the setting.
        """
