"""Tables: a CSV or Parquet file with one row per example."""
