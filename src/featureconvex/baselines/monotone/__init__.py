"""``monotone``: a score that only grows with the evidence."""
