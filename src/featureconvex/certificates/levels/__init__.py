"""The certification levels, one file each."""
