"""Several classes: the predicted one stays ahead of its rivals.

``slopes`` bounds how steep a score can be, ``rivals`` compares two scores by a line, ``search`` finds the
budget, ``certify`` does it for arrays and returns a ``certificate``.
"""

from featureconvex.certificates.multi_class.certificate import ClassCertificate
from featureconvex.certificates.multi_class.certify import certify_classes

__all__ = ["ClassCertificate", "certify_classes"]
