"""``cayley`` and ``sll``: 1-Lipschitz networks in l2."""
