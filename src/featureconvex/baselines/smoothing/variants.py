"""``smoothing-gaussian``, ``smoothing-laplacian``, ``smoothing-uniform``."""

from typing import ClassVar

from featureconvex.baselines.smoothing.method import Smoothing
from featureconvex.baselines.smoothing.noise import GaussianNoise, LaplacianNoise, UniformNoise

_PAPER = (
    "An MLP, 60 epochs unless told otherwise; the code of arXiv 2302.01961 trains a ResNet-18 for 60 to "
    "240 epochs on MNIST and Fashion, a WideResNet-40-2 for 600 to 2400 on CIFAR; it has no results."
)


class SmoothingGaussian(Smoothing):
    """Gaussian noise: l2 (Cohen, Rosenfeld and Kolter 2019)."""

    name = "smoothing-gaussian"
    title = "smoothing, Gaussian"
    native_norms: ClassVar[tuple[float, ...]] = GaussianNoise.norms
    literature = (
        f"{_PAPER} Cohen et al. 2019, CIFAR-10 (ten classes, ResNet-110, sigma 1.00), from the rows "
        "in their repository: 47.2 % certified at radius 0, 34.0 % at l2 0.5, 21.6 % at 1.0, 10.0 % "
        "at 2.0."
    )
    noise_type = GaussianNoise


class SmoothingLaplacian(Smoothing):
    """Laplacian noise: l1 (Teng, Lee and Yuan 2020) and linf (Yang et al. 2020)."""

    name = "smoothing-laplacian"
    title = "smoothing, Laplacian"
    native_norms: ClassVar[tuple[float, ...]] = LaplacianNoise.norms
    literature = (
        f"{_PAPER} Yang et al. 2020, Table 1, for Teng et al. on CIFAR-10 (ten classes, at the best "
        "sigma): 61 % certified at l1 0.5, 39 % at 1, 16 % at 2, 3 % at 4."
    )
    noise_type = LaplacianNoise


class SmoothingUniform(Smoothing):
    """Uniform noise on a cube: l1 and linf (Yang et al. 2020)."""

    name = "smoothing-uniform"
    title = "smoothing, uniform"
    native_norms: ClassVar[tuple[float, ...]] = UniformNoise.norms
    literature = (
        f"{_PAPER} Yang et al. 2020, Table 1, CIFAR-10 (ten classes, at the best sigma, without "
        "stability training): 70 % certified at l1 0.5, 59 % at 1, 43 % at 2, 18 % at 4."
    )
    noise_type = UniformNoise
