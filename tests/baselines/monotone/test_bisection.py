import torch

from featureconvex.baselines.monotone.bisection import largest_kept


def test_the_radius_is_on_the_safe_side_of_the_edge_and_close_to_it() -> None:
    edge = torch.rand(200, dtype=torch.float64)
    for closed in (False, True):
        radius = largest_kept(lambda r, closed=closed: r <= edge if closed else r < edge, 200, 1.0)  # type: ignore[misc]
        assert bool((radius <= edge).all())
        assert bool((edge - radius < 2.0**-49).all())


def test_the_ends_of_the_search() -> None:
    edge = torch.tensor([-1.0, 0.0, 8.0, 9.0])
    assert largest_kept(lambda r: r <= edge, 4, 8.0).tolist() == [0, 0, 8, 8]
