"""Laws of a certificate: never violated, in the right units, honest about what it cannot say."""

import copy
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.certificates import (
    Box,
    Certificate,
    Domain,
    Lp,
    Status,
    Threat,
    Unbounded,
    certify,
)
from featureconvex.features import Compose, Scale
from featureconvex.models.model import FeatureConvexModel
from featureconvex.testing.attack_reference import reference_attack
from featureconvex.testing.law import Law, build, check_all, require
from featureconvex.testing.weights import answers

Certify = Callable[[FeatureConvexModel, Tensor, Threat, Domain], Certificate]
Truth = Callable[[FeatureConvexModel, Tensor], NDArray[np.float64]]
PROMISES = (Status.certified, Status.unbounded)


@dataclass(frozen=True)
class CertificateCase:
    """A way to certify, on one model, threat and domain.

    Attributes:
        make: builds the model; its threshold should leave both classes among the inputs.
        inputs: (n, ...) float64, n >= 4, finite, inside the domain; best exact in float32.
        threat: the threat model.
        domain: the attacker's domain.
        certify: ``(model, x, threat, domain) -> Certificate``; default the closed form.
            ``functools.partial(fc.certify, level="domain")`` tests another level.
        truth: optional; the true radius of each input, or anything not below it.
        tight: whether the certificate must reach ``truth``.
        tolerance: relative; how well an iterative method repeats its own numbers.
    """

    make: Callable[[], FeatureConvexModel]
    inputs: Tensor
    threat: Threat = dataclasses.field(default_factory=lambda: Lp(2))
    domain: Domain = dataclasses.field(default_factory=Unbounded)
    certify: Certify = certify
    truth: Truth | None = None
    tight: bool = False
    tolerance: float = 1e-9

    @cached_property
    def plain(self) -> Certificate:
        """The case's own certificate of its inputs, which most laws compare others with."""
        return _run(self, _model(self), self.inputs)


def balanced(model: FeatureConvexModel, inputs: Tensor, share: float = 0.75) -> FeatureConvexModel:
    """The model with the threshold at which this share of the inputs is sensitive."""
    with torch.no_grad():
        logits = copy.deepcopy(model).double().eval().logits(inputs.double()).sort().values
    # Between two inputs: none of them is a tie.
    first = round((1 - share) * len(logits))
    tau = -float(logits[max(0, first - 1) : first + 1].mean())
    return FeatureConvexModel(model.feature_map, model.convex_net, tau)


def _model(case: CertificateCase) -> FeatureConvexModel:
    return build(case.make).double()


def _run(case: CertificateCase, model: FeatureConvexModel, x: Tensor) -> Certificate:
    return case.certify(model, x, case.threat, case.domain)


def holds_against_an_attack(case: CertificateCase) -> None:
    """No point found inside a certified radius leaves class 1, for float64 and float32 models."""
    model = _model(case)
    slacks = {found.dtype: 4 * found.slack for found in answers(model, case.inputs)}
    single = _run(case, copy.deepcopy(model).float(), case.inputs.float())
    certs = {torch.float64: case.plain, torch.float32: single}
    radius = torch.cat([torch.as_tensor(cert.radius) for cert in certs.values()])
    slack = torch.tensor([slacks[dtype] for dtype in certs], dtype=torch.float64)
    slack = slack.repeat_interleave(len(case.inputs))
    for dtype, cert in certs.items():
        require(
            bool((cert.radius > 0).any()),
            f"no radius above 0 ({dtype}): this tests nothing; put the threshold among the inputs with "
            "featureconvex.testing.balanced, or choose inputs that the model flags",
        )
    promised = radius > 0
    x, radius, slack = torch.cat([case.inputs] * 2)[promised], radius[promised], slack[promised]
    # Budgets strictly less than the radius; where they are counts, the radius itself.
    inside = 1.0 if case.threat.counts else 1 - 1e-9
    for endless in (1.0, 1e3) if torch.isinf(radius).any() else (1.0,):
        budget = torch.where(torch.isinf(radius), endless, radius) * inside
        found = reference_attack(model, x, case.threat, budget, case.domain)
        kept = found.margin > -slack
        require(
            kept.all(),
            f"{int((~kept).sum())} of {len(x)} certificates (float64 and float32) are violated, the worst "
            f"margin is {float(found.margin.min()):.3g}, beyond rounding ({float(slack.max()):.3g})",
        )


def never_above_the_truth(case: CertificateCase) -> None:
    """``radius <= truth``, and equal where the case calls the method tight."""
    if case.truth is None:
        return
    model = _model(case)
    radius, truth = case.plain.radius, case.truth(model, case.inputs)
    slack = 1 + max(case.tolerance, 1e-7)
    worst = int(np.argmax(radius - np.minimum(truth * slack, np.finfo(float).max)))
    require(
        bool((radius <= truth * slack).all()),
        f"certified {radius[worst]:.9g}, the true radius is {truth[worst]:.9g}",
    )
    if case.tight:
        require(
            bool((radius * slack >= truth).all()),
            f"certified {radius.tolist()}, but exactly {truth.tolist()} is true",
        )


def the_truth_is_in_the_bracket(case: CertificateCase) -> None:
    """``radius <= upper`` where there is an ``upper``, a flip's budget: never below the truth."""
    cert = case.plain
    known = ~np.isnan(cert.upper)
    require(bool((cert.radius <= cert.upper)[known].all()), "a radius is above its upper")
    if case.truth is not None:
        truth = case.truth(_model(case), case.inputs)[known]
        worst = float(np.max(truth - cert.upper[known] * (1 + 1e-7), initial=-math.inf))
        require(
            worst <= 0, f"an upper is {worst:.3g} below the true radius, so no flip has that budget"
        )


def scales_with_the_units(case: CertificateCase) -> None:
    """``f(x / c)`` at ``c x`` has radius ``c r``: a radius is in the units of the raw input."""
    if case.threat.exponent is None:
        return
    model, radius = _model(case), case.plain.radius
    for c in (0.25, 8.0):
        phi = Compose(Scale(1 / c), model.feature_map)
        other = FeatureConvexModel(phi, model.convex_net, float(model.tau)).eval()
        found = case.certify(other, case.inputs * c, case.threat, _scaled(case.domain, c))
        _require_equal(found.radius, radius * c, case, f"f(x / {c:g}) does not have radius {c:g} r")


def _scaled(domain: Domain, c: float) -> Domain:
    if isinstance(domain, Box):
        return Box(domain.lo * c, domain.hi * c, domain.immutable, domain.direction)
    return domain


def scales_with_the_cost(case: CertificateCase) -> None:
    """Doubling every cost doubles the radius; one dearer coordinate never shrinks it."""
    p = case.threat.exponent
    if p is None:
        return
    model, x = _model(case), case.inputs
    ones = torch.ones(x.shape[1:], dtype=torch.float64)
    cost = ones if case.threat.cost is None else case.threat.cost * ones
    radius = case.plain.radius
    doubled = case.certify(model, x, Lp(p, 2 * cost), case.domain).radius
    _require_equal(doubled, 2 * radius, case, "doubled costs do not double the radius")
    dearer = cost.clone()
    dearer.view(-1)[0] *= 10
    grown = case.certify(model, x, Lp(p, dearer), case.domain).radius
    slack = 1 + max(case.tolerance, 1e-9)
    require(bool((grown * slack >= radius).all()), "a dearer coordinate shrinks a radius")


def grows_with_the_margin(case: CertificateCase) -> None:
    """A larger threshold never shrinks a radius."""
    model, last = _model(case), case.plain.radius
    for more in (0.25, 1.0, 4.0):
        lifted = FeatureConvexModel(model.feature_map, model.convex_net, float(model.tau) + more)
        radius = _run(case, lifted.eval(), case.inputs).radius
        slack = 1 + max(case.tolerance, 1e-9)
        require(bool((radius * slack >= last).all()), "a larger margin has a smaller radius")
        last = radius


def treats_rows_alone(case: CertificateCase) -> None:
    """Batch equals single, and the order of rows does not matter."""
    model, x, whole = _model(case), case.inputs, case.plain
    order = torch.arange(len(x)).flip(0)
    flipped = _run(case, model, x[order])
    _require_equal(flipped.radius, whole.radius[order], case, "the order of rows matters")
    for i in range(len(x)):
        one = _run(case, model, x[i : i + 1])
        _require_equal(one.radius, whole.radius[i : i + 1], case, "one row alone differs")
        require(one.status[0] == whole.status[i], "one row alone has another status")
    none = _run(case, model, x[:0])
    require(len(none) == 0, "no rows give a certificate with rows")


def statuses_are_true(case: CertificateCase) -> None:
    """Each status says what the margin, the input and the radius are; ties are not certified."""
    model = _model(case)
    with torch.no_grad():
        tie = float(-model.logits(case.inputs)[0])
    bad = case.inputs[:2].clone()
    bad[0].view(-1)[0], bad[1].view(-1)[-1] = math.nan, math.inf
    x = torch.cat((case.inputs, bad))
    for tau in (float(model.tau), tie, 1e6, -1e6):
        shifted = FeatureConvexModel(model.feature_map, model.convex_net, tau).eval()
        with torch.no_grad():
            margin = shifted(x).numpy()
        cert = _run(case, shifted, x)
        kind = np.array([str(status) for status in cert.status])
        good = np.arange(len(x)) < len(case.inputs)
        require((kind[~good] == "non_finite").all(), f"NaN and inf have statuses {kind[~good]}")
        require(
            np.allclose(cert.margin[good], margin[good], rtol=1e-9, atol=1e-9),
            "the margin is not the model's",
        )
        positive = np.isin(kind, PROMISES)
        require(((cert.radius > 0) == positive).all(), "radius > 0 without a promise, or reverse")
        require(((kind == "unbounded") == np.isinf(cert.radius)).all(), "inf is not `unbounded`")
        require(
            ((kind == "not_sensitive") == (good & (cert.margin < 0))).all(),
            "`not_sensitive` is not `margin < 0`",
        )
        require((kind[good & (cert.margin == 0)] == "boundary").all(), "a tie is not `boundary`")
        require(bool((cert.margin[positive] > 0).all()), "a promise without a positive margin")
    require(kind[0] == "not_sensitive", "a margin of -1e6 is sensitive")


def outside_the_domain_is_said(case: CertificateCase) -> None:
    """An input that is no point of its own domain gets that status and radius 0."""
    if not isinstance(case.domain, Box) or not torch.isfinite(case.domain.hi).all():
        return
    x = case.inputs.clone()
    x[0] = case.domain.hi.max() + 1
    cert = _run(case, _model(case), x)
    require(
        cert.status[0] == Status.outside_domain and cert.radius[0] == 0,
        f"an input outside the domain is {cert.status[0]} with radius {cert.radius[0]:g}",
    )
    require((cert.status[1:] != Status.outside_domain).all(), "inside is called outside")


def a_constant_is_unbounded(case: CertificateCase) -> None:
    """A network that ignores its input cannot be flipped: positive margins have radius inf."""
    model = _model(case)
    with torch.no_grad():
        for raw in model.convex_net.parameters():
            raw.zero_()
        level = model.logits(case.inputs)
    require(close_to(level, level[0]), "zero weights do not make the network constant")
    flat = FeatureConvexModel(model.feature_map, model.convex_net, 1.0 - float(level[0]))
    cert = _run(case, flat.eval(), case.inputs)
    require((cert.status == Status.unbounded).all(), "a constant positive margin is not unbounded")


def close_to(values: Tensor, one: Tensor) -> bool:
    """Whether all values equal ``one`` up to rounding."""
    return bool(((values - one).abs() <= 1e-9).all())


def leaves_the_model_alone(case: CertificateCase) -> None:
    """Mode, weights and gradients stay; train mode gives the same certificate; the record is frozen."""
    model = _model(case)
    model.train()
    model.feature_map.eval()
    before = copy.deepcopy(model.state_dict())
    cert = _run(case, model, case.inputs)
    require(model.convex_net.training and not model.feature_map.training, "the mode changed")
    state = model.state_dict()
    require(all(torch.equal(before[key], state[key]) for key in before), "the state changed")
    require(all(raw.grad is None for raw in model.parameters()), "a gradient was left behind")
    _require_equal(cert.radius, case.plain.radius, case, "train mode gives another certificate")
    for name in ("radius", "upper", "margin"):
        values = getattr(cert, name)
        require(values.dtype == np.float64 and values.shape == (len(case.inputs),), f"{name} shape")
    try:
        cert.radius = cert.radius * 2  # type: ignore[misc]
    except dataclasses.FrozenInstanceError:
        return
    require(False, "the record is not frozen")


def _require_equal(
    found: NDArray[np.float64], expected: NDArray[np.float64], case: CertificateCase, message: str
) -> None:
    rtol = max(case.tolerance, 1e-9)
    require(np.allclose(found, expected, rtol=rtol, atol=0), f"{message}: {found}, not {expected}")


CERTIFICATE_LAWS: tuple[Law[CertificateCase], ...] = (
    holds_against_an_attack,
    never_above_the_truth,
    the_truth_is_in_the_bracket,
    scales_with_the_units,
    scales_with_the_cost,
    grows_with_the_margin,
    treats_rows_alone,
    statuses_are_true,
    outside_the_domain_is_said,
    a_constant_is_unbounded,
    leaves_the_model_alone,
)


def check_certificate(case: CertificateCase) -> None:
    """Every law of a certificate.

    Raises:
        AssertionError: naming the laws that are broken.

    >>> from featureconvex.features import Identity
    >>> from featureconvex.nn import ConvexMLP
    >>> def make():
    ...     return FeatureConvexModel(Identity(), ConvexMLP(2, (4,)), tau=1.0)
    >>> points = torch.tensor([[2, 1], [-1, 3], [0.5, -2], [-2, -1]], dtype=torch.float64)
    >>> check_certificate(CertificateCase(make, points))
    """
    check_all(CERTIFICATE_LAWS, case)
