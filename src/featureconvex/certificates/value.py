"""Objects that stay what they were made."""

from typing import Any

from featureconvex.errors import UserError


class Value:
    """An object whose attributes are set once: finished certificates refer to it.

    Arrays are kept as private copies, and handed out as copies.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            kind = type(self).__name__
            raise UserError(
                f"a {kind} does not change after it is made, since certificates refer to it; "
                f"make another {kind} with the {name.lstrip('_')} you want"
            )
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise UserError(f"a {type(self).__name__} does not change after it is made")
