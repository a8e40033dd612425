"""Which rounded steps every module consists of: the rules behind level ``sound``."""

from featureconvex.certificates.rounding import feature_rules, nonexpansive_rules
from featureconvex.certificates.rounding.rules import rule, trace
from featureconvex.certificates.rounding.scattering import rule as scattering_rule

__all__ = ["feature_rules", "nonexpansive_rules", "rule", "scattering_rule", "trace"]
