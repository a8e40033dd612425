"""The maximum of affine functions: gradients on ties, and errors."""

import pytest
import torch

from featureconvex import UserError
from featureconvex.nn import MaxAffine


def test_on_a_tie_the_gradient_is_a_mean_of_the_tied_pieces() -> None:
    net = MaxAffine(2, pieces=3)
    net.affine.weight.data = torch.tensor([[2.0, 0.0], [0.0, 4.0], [1.0, 1.0]])
    net.affine.bias.data = torch.tensor([0.0, 0.0, -5.0])
    u = torch.zeros(1, 2, requires_grad=True)
    (v,) = torch.autograd.grad(net(u).sum(), u)
    assert v.tolist() == [[1.0, 2.0]]


def test_one_piece_is_affine() -> None:
    net, u = MaxAffine(3, pieces=1), torch.randn(4, 3)
    torch.testing.assert_close(net(u), net.affine(u)[:, 0])


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(UserError, match="pieces"):
        MaxAffine(3, pieces=0)
    with pytest.raises(UserError, match="in_features"):
        MaxAffine(0)
    with pytest.raises(UserError, match="expected 3 features per row, got 2"):
        MaxAffine(3)(torch.zeros(1, 2))
