"""``splitting``: deterministic l1 smoothing by splits."""
