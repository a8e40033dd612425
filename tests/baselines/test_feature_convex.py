"""Our own model among the baselines: one setting for each model that it trains."""

from featureconvex.baselines import Options
from featureconvex.baselines.feature_convex import FeatureConvex


def test_no_model_is_compared_twice() -> None:
    def settings(shape: tuple[int, ...]) -> list[tuple[str, str]]:
        return [(s["recipe"], s["norm"]) for s in FeatureConvex.settings(Options(shape=shape))]

    ours = [("default", "l1"), ("default", "l2"), ("default", "linf")]
    assert settings((30,)) == ours
    assert settings((1, 28, 28)) == [*ours, ("paper", "l2")]
    # On colour images what is certified in linf is trained in l2.
    assert settings((3, 32, 32)) == [*ours[:2], ("paper", "l2")]
