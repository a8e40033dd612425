"""Certificates of several classes: never violated, never below the formula, exact where all is affine."""

import math
from functools import partial
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.certificates.multi_class.scores import MAPS, NETS, D, attacked, model_of, points

import featureconvex as fc
from featureconvex.certificates.levels.sound.line import graphs
from featureconvex.certificates.multi_class import rivals
from featureconvex.certificates.multi_class.slopes import slope_range
from featureconvex.errors import UserError
from featureconvex.features.base import constant
from featureconvex.models.frozen import frozen_model
from featureconvex.norms import dual_exponent
from featureconvex.rounding.ball import Ball

LEVELS = ("closed-form", "domain", "tight", "sound")
INF = math.inf


# Every map and every network, each with one norm.
CASES = [(phi, list(NETS)[i % len(NETS)], (1.0, 2.0, INF)[i % 3]) for i, phi in enumerate(MAPS)] + [
    ("distances", "mlp", INF),
    ("orthogonal", "mlp", 2.0),
]


@pytest.mark.parametrize(("phi", "net", "p"), CASES)
def test_no_attack_inside_the_radius_makes_another_class(phi: str, net: str, p: float) -> None:
    model, x = model_of(phi, net, 3), points(12)
    for domain in (fc.Unbounded(), fc.Box(0, 1)):
        cert = fc.certify_classes(model, x, fc.Lp(p), domain, level="tight")
        assert (cert.predicted == model(x).argmax(1).numpy()).all()
        assert (cert.radius > 0).any()
        for j in range(3):
            rows = torch.from_numpy(np.flatnonzero(cert.predicted != j))
            if len(rows):
                box = None if isinstance(domain, fc.Unbounded) else (0, 1)
                worst = attacked(model, x[rows], cert.away[rows.numpy(), j], p, j, box)
                assert float(worst.min()) > -1e-9, (phi, net, p, j)


def test_a_rival_that_does_not_rise_is_a_fault_that_attacks_find(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def flat(_: object, like: Ball, __: object = None) -> Ball:
        return Ball.exact(torch.zeros_like(like.centre[:1]))

    monkeypatch.setattr(rivals, "slope_range", flat)
    model, x = model_of("identity", "mlp"), points()
    cert = fc.certify_classes(model, x)
    found = []
    for j in range(4):
        rows = torch.from_numpy(np.flatnonzero(cert.predicted != j))
        found.append(float(attacked(model, x[rows], cert.away[rows.numpy(), j], 2.0, j).min()))
    assert min(found) < -1e-3


@pytest.mark.parametrize(("phi", "net", "p"), CASES)
def test_never_below_the_formula_and_levels_in_order(phi: str, net: str, p: float) -> None:
    """``(f_k - f_j) / (L (||v_k|| + Lip_j))``, Lip_j from the range of slopes."""
    model, x = model_of(phi, net, 3, seed=5), points(8)
    box = fc.Box(0, 1)
    found = {
        level: fc.certify_classes(model, x, fc.Lp(p), box, level=level).away for level in LEVELS
    }
    assert (found["domain"] >= found["closed-form"]).all()
    assert (found["tight"] >= found["domain"]).all()
    assert (found["sound"] == found["domain"]).all()
    for k in range(3):
        rows = np.flatnonzero(model(x).argmax(1).numpy() == k)
        for j in set(range(3)) - {k} if len(rows) else ():
            low = _formula(model, x[torch.from_numpy(rows)], k, j, p)
            assert (found["closed-form"][rows, j] >= low * (1 - 1e-9)).all()


def _formula(model: fc.MultiClassModel, x: torch.Tensor, k: int, j: int, p: float) -> np.ndarray:
    own, rival = model.members()[k], model.members()[j]
    phi = own.feature_map
    u = phi(x).detach().requires_grad_()
    (v,) = torch.autograd.grad(own.convex_net(u).sum(), u)
    gap = (model(x)[:, k] - model(x)[:, j]).detach()
    _, network = graphs(
        frozen_model(fc.FeatureConvexModel(fc.features.Identity(), rival.convex_net))
    )
    slopes = slope_range(network, Ball.exact(u.detach()))
    most = (slopes.centre.abs() + slopes.radius).flatten(1)
    found = []
    for s in (1.0, 2.0, INF):
        q, factor = dual_exponent(s), constant(frozen_model(own).feature_map, p, s)
        steep = torch.linalg.vector_norm(v.flatten(1), q, dim=1)
        steep = steep + torch.linalg.vector_norm(most, q, dim=1)
        found.append((gap / (factor * steep)).numpy())
    best: np.ndarray = np.max(found, axis=0)
    return best


def _slopes(model: fc.MultiClassModel, x: torch.Tensor) -> torch.Tensor:
    """(classes, D) of a model of affine scores."""
    at = x[:1].clone().requires_grad_()
    rows = [torch.autograd.grad(score, at, retain_graph=True)[0][0] for score in model(at)[0]]
    return torch.stack(rows)


@pytest.mark.parametrize("p", [1.0, 2.0, INF])
def test_affine_scores_have_the_exact_distance(p: float) -> None:
    """As for linear classifiers: ``(f_k - f_j) / ||w_k - w_j||_q``."""
    model, x = model_of("scaled", "affine"), points(40)
    jacobian = _slopes(model, x)
    cert = fc.certify_classes(model, x, fc.Lp(p))
    scores = model(x).detach()
    for i, k in enumerate(cert.predicted):
        for j in set(range(4)) - {int(k)}:
            step = float(torch.linalg.vector_norm(jacobian[k] - jacobian[j], dual_exponent(p)))
            exact = float(scores[i, k] - scores[i, j]) / step
            assert cert.away[i, j] == pytest.approx(exact, rel=1e-6)
            assert cert.away[i, j] <= exact * (1 + 1e-12)
    assert cert.radius == pytest.approx(np.where(cert.away == 0, INF, cert.away).min(1))


def test_a_box_counts_exactly_for_affine_scores() -> None:
    """linf in a box: each coordinate moves to the nearer of budget and border."""
    model, x = model_of("identity", "affine", seed=2), points(30)
    cert = fc.certify_classes(model, x, fc.Lp(INF), fc.Box(0, 1), level="domain")
    slopes = _slopes(model, x)
    scores = model(x).detach()
    for i, k in enumerate(cert.predicted):
        for j in set(range(4)) - {int(k)}:
            w, gap = (slopes[k] - slopes[j]).numpy(), float(scores[i, k] - scores[i, j])

            def fall(r: float, w: np.ndarray = w, i: int = i) -> float:
                room = np.where(w > 0, x[i].numpy(), 1 - x[i].numpy())
                return float((np.abs(w) * np.minimum(r, room)).sum())

            radius = cert.away[i, j]
            if math.isinf(radius):
                assert fall(1.0) <= gap
                continue
            assert fall(radius * (1 - 1e-9)) <= gap
            assert fall(radius * 1.01) >= gap


@pytest.mark.parametrize("net", ["affine", "mlp"])
def test_counts_of_coordinates_against_all_of_them(net: str) -> None:
    model, x = model_of("identity", net, seed=3), points(25)
    cert = fc.certify_classes(model, x, fc.L0(), fc.Box(0, 1), level="domain")
    corners = torch.tensor(list(product((0.0, 1.0), repeat=D)), dtype=torch.float64)
    seen = 0
    for i, k in enumerate(cert.predicted):
        for j in set(range(4)) - {int(k)}:
            count = int(min(cert.away[i, j], D))
            seen += count > 0
            for chosen in combinations(range(D), count):
                moved = x[i].repeat(len(corners), 1)
                moved[:, chosen] = corners[:, chosen]
                scores = model(moved)
                assert bool((scores[:, k] > scores[:, j] - 1e-9).all())
    assert seen


@pytest.mark.parametrize("level", LEVELS)
def test_against_a_constant_class_it_is_the_one_sided_certificate(level: str) -> None:
    torch.manual_seed(0)
    phi = fc.features.AbsConcat()
    net = fc.nn.ConvexMLP(2 * D, (8, 4)).double()
    zero = fc.nn.ConvexMLP(2 * D, ()).double()
    with torch.no_grad():
        for weight in zero.parameters():
            weight.zero_()
    x, box = points(30), fc.Box(0, 1)
    tau = -float(net(phi(x)).detach().median())
    several = fc.MultiClassModel(phi, [net, zero], [tau, 0.0]).eval()
    one = fc.FeatureConvexModel(phi, net, tau).eval()
    base = "domain" if level == "tight" else level  # the tangent's, which ``tight`` there betters
    for p in (1.0, INF):
        ours = fc.certify_classes(several, x, fc.Lp(p), box, level=level)
        theirs = fc.certify(one, x, fc.Lp(p), box, level=base)
        rows = ours.predicted == 0
        assert rows.any()
        finite = np.isfinite(theirs.radius[rows])
        assert (np.isinf(ours.radius[rows]) == ~finite).all()
        got, wanted = ours.radius[rows][finite], theirs.radius[rows][finite]
        assert (got >= wanted * (1 - 3e-3)).all()
        # Level ``sound`` counts (u, |u|) entry by entry, which is more than the paper's 2^(1/p).
        assert (got <= wanted * (1 + 1e-9)).all() or level == "closed-form"


def test_statuses_and_sensitive_classes() -> None:
    model, x = model_of("orthogonal", "mlp", dtype=torch.float32), points(30, dtype=torch.float32)
    x[0, 1], x[1, 0] = math.nan, 3.0
    cert = fc.certify_classes(model, x, domain=fc.Box(0, 1), level="domain", sensitive=[1, 2])
    assert cert.status[0] == fc.Status.non_finite
    assert cert.status[1] == fc.Status.outside_domain
    assert (cert.away[:2] == 0).all()
    for i in range(2, 30):
        ours = cert.predicted[i] in (1, 2)
        assert (cert.status[i] == fc.Status.not_sensitive) == (not ours)
        assert (cert.margin[i] > 0) == ours
        assert (cert.radius[i] > 0) == ours
    every = fc.certify_classes(model, x, domain=fc.Box(0, 1), level="domain")
    assert (every.radius[2:] > 0).all()
    assert (every.away == cert.away).all()


def test_a_tie_is_a_boundary() -> None:
    torch.manual_seed(0)
    net = fc.nn.ConvexMLP(D, (4,)).double()
    model = fc.MultiClassModel(fc.features.Identity(), [net, net, net], [0.0, 0.0, -5.0]).eval()
    cert = fc.certify_classes(model, points(3))
    assert (cert.status == fc.Status.boundary).all()
    assert (cert.radius == 0).all()
    assert (cert.away[:, 2] > 0).all()
    assert (cert.within([0, 1]) == cert.away[:, 2]).all()


def test_within_a_set_of_classes() -> None:
    model, x = model_of("identity", "mlp"), points(40)
    cert = fc.certify_classes(model, x)
    kept = cert.within([0, 2])
    ours = np.isin(cert.predicted, [0, 2])
    assert (kept[~ours] == 0).all()
    assert (kept[ours] >= cert.radius[ours]).all()
    assert kept[ours] == pytest.approx(cert.away[ours][:, [1, 3]].min(1))
    assert np.isinf(cert.within(range(4))).all()
    with pytest.raises(UserError, match="no class 4"):
        cert.within([4])
    with pytest.raises(UserError, match="names no class"):
        cert.within([])


@pytest.mark.parametrize("phi", ["absolute", "distances"])
def test_neither_batches_nor_company_count(phi: str) -> None:
    model, x, level = model_of(phi, "mlp", 3), points(7), fc.levels.Tight(iterations=5)
    whole = fc.certify_classes(model, x, fc.Lp(2), fc.Box(0, 1), level=level)
    parts = fc.certify_classes(model, x, fc.Lp(2), fc.Box(0, 1), level=level, batch_size=3)
    alone = fc.certify_classes(model, x[:1], fc.Lp(2), fc.Box(0, 1), level=level)
    assert parts.away == pytest.approx(whole.away, rel=1e-9)
    assert alone.away[0] == pytest.approx(whole.away[0], rel=1e-9)
    both = fc.certify_classes(model, x, [fc.Lp(1), fc.Lp(2)], fc.Box(0, 1), level=level)
    assert (both[1].away == whole.away).all()
    none = fc.certify_classes(model, x[:0])
    assert none.away.shape == (0, 3)


def test_costs_and_frames() -> None:
    model, x = model_of("identity", "mlp"), points(10)
    cost = torch.tensor([1.0, 2.0, math.inf, 0.5])
    cert = fc.certify_classes(model, x, fc.Lp(2, cost=cost), level="tight")
    for j in range(4):
        rows = torch.from_numpy(np.flatnonzero(cert.predicted != j))
        size = torch.from_numpy(cert.away[rows.numpy(), j])
        moves = torch.randn(200, len(rows), D, dtype=torch.float64)
        moves[..., 2] = 0
        moves = (
            moves / torch.linalg.vector_norm(moves * cost.where(cost < INF, 1.0), dim=-1)[..., None]
        )
        scores = model((x[rows] + moves * size[None, :, None] * (1 - 1e-9)).flatten(0, 1))
        own = torch.from_numpy(cert.predicted[rows.numpy()]).repeat(200)
        assert bool((scores.gather(1, own[:, None]).squeeze(1) > scores[:, j] - 1e-9).all())
    frame = cert.to_frame()
    assert list(frame.columns[:2]) == ["predicted", "radius"]
    assert list(frame.columns[-4:]) == ["away_0", "away_1", "away_2", "away_3"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": "closed-form", "threat": fc.L0()}, 'use level "domain" or above'),
        ({"sensitive": []}, "names no class"),
        ({"sensitive": [7]}, "there is no class 7"),
        ({"sensitive": 1}, "a list of numbers of classes, got 1"),
        ({"level": "best"}, "level"),
        ({"x": torch.zeros(3)}, "one row per input"),
    ],
)
def test_bad_arguments(change: dict[str, object], message: str) -> None:
    given = {"x": points(2), **change}
    with pytest.raises(UserError, match=message):
        fc.certify_classes(model_of("identity", "mlp"), **given)  # type: ignore[call-overload]


@pytest.mark.parametrize("classes", [[True, False, True, False], [1.5], ["setosa"], "1", 1, None])
def test_within_takes_numbers_of_classes(classes: object) -> None:
    cert = fc.certify_classes(model_of("identity", "mlp"), points(2))
    with pytest.raises(UserError, match="classes"):
        cert.within(classes)  # type: ignore[arg-type]


def test_models_are_checked() -> None:
    nets = [fc.nn.ConvexMLP(D, (3,)) for _ in range(2)]
    with pytest.raises(UserError, match="two networks or more"):
        fc.MultiClassModel(fc.features.Identity(), nets[:1])
    with pytest.raises(UserError, match="as many tau"):
        fc.MultiClassModel(fc.features.Identity(), nets, [0.0])
    with pytest.raises(fc.ConvexityError):
        fc.MultiClassModel(fc.features.Identity(), [nets[0], torch.nn.Tanh()])
    one = fc.FeatureConvexModel(fc.features.Identity(), nets[0])
    with pytest.raises(UserError, match=r"fc\.certify takes models of one"):
        fc.certify_classes(one, points(1))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"level=fc\.levels\.Tight"):
        fc.certify_classes(fc.MultiClassModel(one.feature_map, nets), points(1), iterations=3)  # type: ignore[call-overload]


@pytest.mark.parametrize("phi", ["identity", "scaled"])
def test_prices_without_categories_prove_what_an_l1_norm_does(phi: str) -> None:
    """The line between two classes has a slack as large as its slopes; a proof must know it."""
    model, x = model_of(phi, "mlp", 3), points(8)
    cost = torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64)
    for domain in (fc.Unbounded(), fc.Box(0, 1)):
        edits, norm = (
            fc.certify_classes(model, x, threat, domain, "domain")
            for threat in (fc.Edits(cost=cost), fc.Lp(1, cost))
        )
        assert (edits.radius > 0).any()
        assert (edits.away >= norm.away * 0.98).all()
        found = fc.attack(model, x, edits.threat, domain)
        assert (found.distance >= edits.radius)[found.found].all()


def test_counts_of_bytes_are_certified_between_classes() -> None:
    model, x = (
        model_of("identity", "mlp", 3).with_map(fc.features.Scale(1e-3)),
        (1e3 * points(8)).round(),
    )
    append, norm = (
        fc.certify_classes(model, x, threat, fc.Box(0, INF), "domain")
        for threat in (fc.Append(), fc.Lp(1))
    )
    assert (append.radius > 0).any()
    # So many new bytes are so many counts, all of them upwards: never worse than any move.
    assert (append.radius >= np.floor(0.98 * norm.radius) - 1).all()
    found = fc.attack(model, x, fc.Append(), fc.Box(0, INF))
    assert (found.distance >= append.radius)[found.found].all()


def test_the_nearest_class_is_never_one_s_own() -> None:
    model, x = model_of("identity", "mlp", 4), points(12)
    cert = fc.certify_classes(model, x)
    assert (cert.nearest != cert.predicted).all()
    rows = np.arange(len(x))
    assert (cert.away[rows, cert.nearest] == cert.radius).all()
    flat = [fc.nn.MaxAffine(D, pieces=1) for _ in range(3)]
    for k, net in enumerate(flat):
        net.affine.weight.data.zero_()
        net.affine.bias.data.fill_(float(k == 0))
    endless = fc.certify_classes(fc.MultiClassModel(fc.features.Identity(), flat), x)
    assert np.isinf(endless.radius).all()
    assert (endless.nearest != endless.predicted).all()


class Turned(fc.MultiClassModel):
    """Says the opposite of its scores."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -super().forward(x)


def test_code_around_the_scores_is_refused() -> None:
    """A hook or an overriding class answers something else than what is certified."""

    def turned(model: torch.nn.Module) -> fc.MultiClassModel:
        assert isinstance(model, fc.MultiClassModel)
        nets = [part.convex_net for part in model.members()]
        return Turned(model.feature_map, nets, model.tau.tolist()).eval()

    def replaced(model: fc.MultiClassModel) -> fc.MultiClassModel:
        model.forward = lambda x: -fc.MultiClassModel.forward(model, x)  # type: ignore[method-assign]
        return model

    def hooked(model: fc.MultiClassModel) -> fc.MultiClassModel:
        model.register_forward_hook(lambda *called: -called[2])
        return model

    def seen_before(model: fc.MultiClassModel) -> fc.MultiClassModel:
        model.register_forward_pre_hook(lambda *called: (-called[1][0],))
        return model

    x = points(3)
    for change in (turned, replaced, hooked, seen_before):
        model = change(model_of("identity", "mlp"))
        for ask in (fc.certify_classes, fc.attack):
            with pytest.raises(fc.ConvexityError, match=r"hook|of its own|replaced"):
                ask(model, x)
        with pytest.raises(fc.ConvexityError):
            fc.certify_classes(model, x, level=fc.levels.Sound(arithmetic="float64"))


def test_a_replaced_feature_map_is_refused_wherever_it_is(tmp_path: Path) -> None:
    for place in ("whole", "member"):
        model, x = model_of("identity", "mlp"), points(3)
        owner = model if place == "whole" else model.members()[1]
        owner.feature_map = fc.features.Center(0.5)
        for ask in (model, partial(fc.certify_classes, model), partial(fc.attack, model)):
            with pytest.raises(fc.UserError, match="was replaced"):
                ask(x)
        with pytest.raises(fc.UserError, match="was replaced"):
            fc.save_model(model, tmp_path / "model")
