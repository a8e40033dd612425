"""featureconvex."""
