"""Training objectives. ``sign`` is +1 for the sensitive class and -1 for the other."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from featureconvex.features.base import FeatureMap


def cross_entropy(logits: Tensor, sign: Tensor, weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy on ``g(phi(x))``, mean over the batch: the paper's data term.

    With weights (n,), of mean 1 over all points, each term counts as often.
    """
    return _mean(softplus(-sign * logits), weight)


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    return values.mean() if weight is None else (values * weight).mean()


def jacobian_norm(logits: Tensor, u: Tensor, generator: torch.Generator) -> Tensor:
    """An estimate of ``||J||_F``, ``J`` the Jacobian of the batch of logits with respect to ``u``.

    While batch norm uses batch statistics the rows are coupled, and the gradient of the *summed*
    logits nearly vanishes. With independent random signs ``s``,
    ``E ||grad sum_i s_i g_i||^2 = ||J||_F^2``: one extra backward pass, unbiased for the square.
    """
    signs = torch.randint(0, 2, logits.shape, generator=generator).to(logits) * 2 - 1
    (gradient,) = torch.autograd.grad((signs * logits).sum(), u, create_graph=True)
    norm: Tensor = gradient.norm()
    return norm


# A vanishing gradient would make the normalised margin, and its derivative, explode.
SMALLEST_SLOPE = 1e-6


def signed_radius(
    feature_map: FeatureMap, u: Tensor, logits: Tensor, p: float, cost: Tensor | None = None
) -> Tensor:
    """``g(phi(x)) / (Lip_p ||v||_q)``, (n,): the closed-form radius at threshold 0, negative below it.

    Differentiable once more, so it can be trained directly. Needs rows that do not see each other,
    so no batch norm in training mode.
    """
    (v,) = torch.autograd.grad(logits.sum(), u, create_graph=True)
    slope = feature_map.sensitivity(v, p, cost).to(logits.dtype)
    return logits / (slope + SMALLEST_SLOPE)


def radius_cross_entropy(
    radius: Tensor,
    sign: Tensor,
    temperature: float,
    other_temperature: float,
    balanced: bool = True,
    weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy on the normalised margin ``radius / T``, mean over the batch.

    ``T``, in units of the radius, trades clean accuracy (small) against radius (large). The other class
    only has to stay on its side, so it may have a smaller temperature ``T0`` of its own. Where the classes
    are to be ``balanced`` its terms weigh ``T0 / T``: a point on the wrong side pulls with the same force,
    1 / T, in both classes. Weights as in :func:`cross_entropy`.
    """
    if other_temperature == temperature:
        return _mean(softplus(-sign * radius / temperature), weight)
    divisor = torch.where(sign > 0, temperature, other_temperature)
    terms = softplus(-sign * radius / divisor)
    if not balanced:
        return _mean(terms, weight)
    return _mean(divisor * terms, weight) / temperature
