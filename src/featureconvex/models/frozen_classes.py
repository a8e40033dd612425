"""A model of several classes taken as a function: the scores that its class computes, and no other code."""

from torch import Tensor

from featureconvex.errors import ConvexityError
from featureconvex.models.frozen import frozen_model
from featureconvex.models.model import FeatureConvexModel
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.nn.freezing.as_written import check_own_methods, foreign_code

# What makes a call of the whole what its members make it.
_WRITTEN = {
    name: getattr(MultiClassModel, name)
    for name in ("__getattr__", "__getattribute__", "forward", "members")
}


def frozen_members(model: MultiClassModel, x: Tensor) -> list[FeatureConvexModel]:
    """The score of every class, frozen and proved convex: see :func:`.frozen_model`.

    Args:
        model: the model.
        x: rows (m, ...) that it will be used on, in its dtype.

    Raises:
        ConvexityError: as for one class; or a call of the whole runs code that is not its class's own (a
            hook, a replaced method, an overriding subclass).
        UserError: as for one class.
    """
    check_own_methods(model, _WRITTEN, "the scores g_k(phi(x)) + tau_k")
    for part in (model, model.classes):
        other = foreign_code(part)
        if other is not None:
            raise ConvexityError(f"{type(part).__qualname__} has {other}")
    return [frozen_model(member, x) for member in model.members()]
