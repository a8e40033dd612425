"""Randomized smoothing with Gaussian, Laplacian and uniform noise."""
