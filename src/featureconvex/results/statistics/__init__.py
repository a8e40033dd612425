"""What is computed from rows: certified curves, detection rates, summaries of radii, and intervals."""
