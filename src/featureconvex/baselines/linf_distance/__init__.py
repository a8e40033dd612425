"""``linf-distance``: a network of l-infinity distances."""
