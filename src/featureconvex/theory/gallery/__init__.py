"""Decision regions and certificates in two dimensions, as pictures."""

from featureconvex.theory.gallery.run import gallery

__all__ = ["gallery"]
