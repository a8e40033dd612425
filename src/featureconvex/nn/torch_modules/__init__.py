"""The cards of torch's own modules."""

from featureconvex.nn.torch_modules import activations, affine, pooling, wiring

__all__ = ["activations", "affine", "pooling", "wiring"]
