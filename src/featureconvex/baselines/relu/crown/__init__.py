"""``alpha-beta-crown``: linear bounds with optimised slopes, and branch and bound."""
