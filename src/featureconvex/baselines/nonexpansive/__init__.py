"""``cayley``, ``sll``, ``linf-distance`` and ``linear``: affine functions of nonexpansive feature maps."""
