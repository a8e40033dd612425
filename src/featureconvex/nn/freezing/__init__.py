"""What runs is what was proved: modules as they were written, taken as functions, and still the same."""
