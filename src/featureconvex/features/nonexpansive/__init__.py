"""Layers whose Lipschitz constant is at most 1 by construction, and proved bounds on it."""
