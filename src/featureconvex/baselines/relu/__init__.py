"""Fully connected ReLU networks: adversarial and interval training, bounds, branch and bound."""
