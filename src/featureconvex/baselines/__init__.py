"""Every other way to certify, beside the model, on the same points."""

from featureconvex.baselines.method import Method, Options, Radii, Setting

__all__ = ["Method", "Options", "Radii", "Setting"]
