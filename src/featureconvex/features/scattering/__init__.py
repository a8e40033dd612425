"""A fixed wavelet transform: the map, its filters, its rounded steps and its proved constants."""

from featureconvex.features.scattering.transform import Scattering

__all__ = ["Scattering"]
