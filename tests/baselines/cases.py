"""Points and options that every method's tests share: small, real, learnt in seconds."""

import functools

import numpy as np
import torch
from sklearn.datasets import load_digits

from featureconvex.baselines import Options
from featureconvex.training.points import Points


@functools.cache
def digits() -> tuple[Points, Points, Points]:
    """3 (sensitive) against 8 of scikit-learn's digits: 240 to fit, 60 to validate, 57 to test."""
    data = load_digits()
    chosen = np.isin(data.target, (3, 8))
    x = torch.tensor(data.images[chosen] / 16, dtype=torch.float32)[:, None]
    y = torch.tensor(data.target[chosen] == 3).long()
    parts = [slice(0, 240), slice(240, 300), slice(300, None)]
    fitting, validation, test = (Points(x[part], y[part]) for part in parts)
    return fitting, validation, test


def options(epochs: int, samples: int = 1000) -> Options:
    """For :func:`digits`."""
    return Options(shape=(1, 8, 8), task="digits-3-8", epochs=epochs, samples=samples)
