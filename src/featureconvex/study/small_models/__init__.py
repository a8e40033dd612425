"""Small models from plain values, trained, judged, and varied one value at a time."""
