"""Contract tests that ship: write a maker and the slow, obvious truth, and inherit the laws.

Whoever adds a convex network, a feature map, a threat model, a way to certify or a
method to compare writes one *case* and
runs its laws, each a function that raises ``AssertionError``::

    from featureconvex.testing import FEATURE_MAP_LAWS, FeatureMapCase

    CASE = FeatureMapCase(make=lambda: MyMap(), shape=(4,), truth=lambda x: slow_obvious_map(x))

    @pytest.mark.parametrize("law", FEATURE_MAP_LAWS, ids=lambda law: law.__name__)
    def test_my_map(law):
        law(CASE)

or, without pytest, all at once: ``check_feature_map(CASE)``.
"""

from featureconvex.testing.attack_reference import Attacked, best_move, reference_attack
from featureconvex.testing.certificate import (
    CERTIFICATE_LAWS,
    CertificateCase,
    balanced,
    check_certificate,
)
from featureconvex.testing.convex_net import (
    CONVEX_NET_LAWS,
    ConvexNetCase,
    check_convex_net,
    check_convex_on_lines,
)
from featureconvex.testing.feature_map import (
    FEATURE_MAP_LAWS,
    FeatureMapCase,
    check_feature_map,
)
from featureconvex.testing.law import Law, build, check_all
from featureconvex.testing.method import METHOD_LAWS, MethodCase, check_method
from featureconvex.testing.oracles import grid_radius, linear_radius, max_affine_radius
from featureconvex.testing.threat import THREAT_LAWS, ThreatCase, check_threat
from featureconvex.testing.weights import drawn, grid

__all__ = [
    "CERTIFICATE_LAWS",
    "CONVEX_NET_LAWS",
    "FEATURE_MAP_LAWS",
    "METHOD_LAWS",
    "THREAT_LAWS",
    "Attacked",
    "CertificateCase",
    "ConvexNetCase",
    "FeatureMapCase",
    "Law",
    "MethodCase",
    "ThreatCase",
    "balanced",
    "best_move",
    "build",
    "check_all",
    "check_certificate",
    "check_convex_net",
    "check_convex_on_lines",
    "check_feature_map",
    "check_method",
    "check_threat",
    "drawn",
    "grid",
    "grid_radius",
    "linear_radius",
    "max_affine_radius",
    "reference_attack",
]
