"""Band-pass filters that split an image without losing or adding energy, and their operator norms."""

import math

import torch
from torch import Tensor, nn

from featureconvex.nn.freezing.code import remember

#: Relative slack on every proved constant: covers the float64 evaluation of the norms. The filters
#: themselves need none: they are rounded to float32 once, before their norms are taken. What the
#: forward pass rounds is not covered, as for any other map.
ROUNDING = 1e-6


class WaveletStage(nn.Module):
    """The linear map ``x -> (low x, W_j x for j = first .. scales - 1)``, each on its own grid.

    ``low`` averages and keeps every ``2^scales``-th pixel; ``W_j`` holds ``orientations`` complex
    Gabor filters an octave wide and keeps every ``2^j``-th; both are multiplied by the subsampling
    factor, so that energy is kept. Circular boundaries.

    Args:
        shape: (height, width), multiples of ``2^scales``.
        first: finest wavelet scale kept; ``scales`` keeps the average alone, whose filter is then
            spread so that its rows are orthonormal. Otherwise each frequency is damped by the
            root of its row sum in the Gram matrix ``G`` where that exceeds 1 (aliasing): with
            ``D`` diagonal, ``D G D`` has the eigenvalues of ``D^2 G``, whose rows sum to at most 1.
    """

    low: Tensor
    bands: Tensor

    def __init__(self, shape: tuple[int, int], scales: int, orientations: int, first: int) -> None:
        super().__init__()
        bands, low = littlewood_paley(shape, scales, orientations)
        bands = bands[first:]
        self.scales, self.first = scales, first
        if len(bands):
            gram = self._gram(self._filters(low, bands, [1.0] * len(bands)))
            gain = self._ungroup(gram.abs().sum(-1), shape).clamp_min(1).sqrt()
        else:
            gain = fold(low.square(), 2**scales).sqrt().repeat(2**scales, 2**scales)
        self.register_buffer("low", float32_exact(low / gain), persistent=False)
        self.register_buffer("bands", float32_exact(bands / gain), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(n, c, m, h, w) real -> low (n, c, m, h / 2^J, w / 2^J) real and, for each scale j, a
        complex (n, c, m * orientations, h / 2^j, w / 2^j)."""
        spectrum = torch.fft.fft2(x)
        low = _subsampled(spectrum * self.low.to(x.dtype), 2**self.scales).real
        bands = [
            _subsampled(spectrum.unsqueeze(3) * band.to(x.dtype), 2**j).flatten(2, 3)
            for j, band in enumerate(self.bands, start=self.first)
        ]
        return low, bands

    def norm(self, p: float, weights: list[float]) -> float:
        """A bound on the norm of ``(low, weights[j] W_j)`` from real l_p to complex l_p.

        p = 1 and p = inf: largest column and row sum of the moduli of the filters. p = 2: the
        largest eigenvalue of the Gram matrix of each group of frequencies that subsampling mixes.
        Between: Riesz-Thorin. For real ``x`` a filter and its complex conjugate give outputs of
        equal modulus, so the map may be replaced by the pair of both with measure 1/2 each: all
        three norms are those of that complex linear map, hence interpolation holds, and at p = 2
        the Gram matrix is averaged over ``w`` and ``-w``.
        """
        filters = self._filters(self.low, self.bands, weights)
        rows, columns = 0.0, torch.zeros((), dtype=torch.float64)
        for band, stride in filters:
            kernel = torch.fft.ifft2(band.double()).abs() * stride
            rows = max(rows, float(kernel.sum((-2, -1)).max()))
            tile = kernel.sum(0)
            h, w = tile.shape
            tile = tile.reshape(h // stride, stride, w // stride, stride).sum((0, 2))
            repeat = 2**self.scales // stride
            columns = columns + tile.repeat(repeat, repeat)
        top = torch.linalg.eigvalsh(self._gram(filters)).max()
        spectral = math.sqrt(max(0.0, float(top)))
        return interpolate(float(columns.max()), spectral, rows, p)

    def _filters(
        self, low: Tensor, bands: Tensor, weights: list[float]
    ) -> list[tuple[Tensor, int]]:
        """(filters (m, h, w), stride) for the average and each scale."""
        scaled = zip(weights, bands, strict=True)
        return [
            (low[None].cpu().double(), 2**self.scales),
            *((c * band.cpu().double(), 2**j) for j, (c, band) in enumerate(scaled, self.first)),
        ]

    def _gram(self, filters: list[tuple[Tensor, int]]) -> Tensor:
        """(groups, 4^J, 4^J): the Gram matrix of each group of frequencies that coincide in the end.

        Keeping every s-th pixel, times s, maps the spectrum to its :func:`fold`, an isometry's
        adjoint: each frequency of the coarse grid contributes the outer product of the filter's
        values at its aliases.
        """
        size = 2**self.scales
        cell = torch.arange(size * size)
        row, column = cell // size, cell % size
        gram = torch.zeros((), dtype=torch.float64)
        for band, stride in filters:
            apart = size // stride
            mixed = ((row[:, None] - row) % apart == 0) & ((column[:, None] - column) % apart == 0)
            for f in (band, mirror(band)):
                m, h, w = f.shape
                group = f.reshape(m, size, h // size, size, w // size)
                group = group.permute(2, 4, 0, 1, 3).reshape(-1, m, size * size)
                gram = gram + 0.5 * (group.mT @ group) * mixed
        return gram

    def _ungroup(self, values: Tensor, shape: tuple[int, int]) -> Tensor:
        """(groups, 4^J) back to (h, w)."""
        size, (h, w) = 2**self.scales, shape
        return values.reshape(h // size, w // size, size, size).permute(2, 0, 3, 1).reshape(h, w)


def interpolate(one: float, two: float, infinity: float, p: float) -> float:
    """Riesz-Thorin: the l_p operator norm is at most ``N_a^(1-t) N_b^t``, ``1/p`` between ``1/a``, ``1/b``.

    >>> interpolate(4.0, 1.0, 9.0, 2.0), interpolate(4.0, 1.0, 9.0, math.inf)
    (1.0, 9.0)
    """
    two = min(two, math.sqrt(one * infinity))
    if p <= 2:
        t = 2 - 2 / p
        return float(one ** (1 - t) * two**t)
    return float(two ** (2 / p) * infinity ** (1 - 2 / p))


def littlewood_paley(
    shape: tuple[int, int], scales: int, orientations: int
) -> tuple[Tensor, Tensor]:
    """Fourier multipliers (J, L, h, w) and (h, w), real float64.

    Gabor wavelets at ``3 pi / 4 / 2^j`` without mean, and a Gaussian average, divided by the root of
    their joint energy, so that ``|low(w)|^2 + 1/2 sum (|psi(w)|^2 + |psi(-w)|^2) = 1`` for every w.
    """
    bands = torch.zeros(scales, orientations, *shape, dtype=torch.float64)
    slant = 4 / orientations
    for j in range(scales):
        for i in range(orientations):
            angle, sigma = math.pi * i / orientations, 0.8 * 2**j
            wave = _gaussian(shape, angle, 0.75 * math.pi / 2**j, sigma, slant)
            still = _gaussian(shape, angle, 0.0, sigma, slant)
            bands[j, i] = wave - still * (wave[0, 0] / still[0, 0])
    low = _gaussian(shape, 0.0, 0.0, 0.8 * 2 ** (scales - 1), 1.0)
    low = low / low[0, 0]
    energy = bands.square().sum((0, 1))
    energy = (energy + mirror(energy)) / 2
    bands = bands / energy.max().clamp_min(1e-300).sqrt()
    total = (low.square() + energy / energy.max().clamp_min(1e-300)).sqrt()
    return bands / total, low / total


def float32_exact(values: Tensor) -> Tensor:
    """``values`` rounded to float32, held in float64: the same filter for inputs of either type."""
    return values.float().double()


def mirror(spectrum: Tensor) -> Tensor:
    """``f(-w)`` on the grid of the discrete Fourier transform."""
    return torch.roll(torch.flip(spectrum, (-2, -1)), (1, 1), (-2, -1))


def fold(spectrum: Tensor, stride: int) -> Tensor:
    """Sum over the frequencies that keeping every ``stride``-th pixel makes equal."""
    h, w = spectrum.shape[-2:]
    shape = (*spectrum.shape[:-2], stride, h // stride, stride, w // stride)
    return spectrum.reshape(shape).sum((-4, -2))


def _subsampled(spectrum: Tensor, stride: int) -> Tensor:
    # ifft2 of the folded spectrum is stride^2 times the subsampled image.
    return torch.div(torch.fft.ifft2(fold(spectrum, stride)), stride)


def _gaussian(
    shape: tuple[int, int], angle: float, centre: float, sigma: float, slant: float
) -> Tensor:
    """A Gaussian bump at distance ``centre`` from the origin of the frequency plane, made periodic."""
    fy, fx = (2 * math.pi * torch.fft.fftfreq(side, dtype=torch.float64) for side in shape)
    total = torch.zeros(shape, dtype=torch.float64)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            y, x = (fy + 2 * math.pi * dy)[:, None], (fx + 2 * math.pi * dx)[None, :]
            along = x * math.cos(angle) + y * math.sin(angle) - centre
            across = (y * math.cos(angle) - x * math.sin(angle)) / slant
            total += torch.exp(-0.5 * sigma**2 * (along**2 + across**2))
    return total


# Here, where the functions that it calls are known.
remember(WaveletStage)
