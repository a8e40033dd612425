"""The verdict on an attacked point: the sign of the exact margin."""
