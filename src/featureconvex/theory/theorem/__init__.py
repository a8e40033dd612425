"""How probable convex separability of random points is: Theorem 3.9 of the paper, and sharper bounds."""

from featureconvex.theory.theorem.bounds import (
    Bounds,
    block_bound,
    bounds,
    box_bound,
    box_probability,
    cover_wendel_bound,
    paper_bound,
)

__all__ = [
    "Bounds",
    "block_bound",
    "bounds",
    "box_bound",
    "box_probability",
    "cover_wendel_bound",
    "paper_bound",
]
