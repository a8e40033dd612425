"""What input-convex classifiers can do: separability, the perfect fit, Theorem 3.9, and pictures."""
