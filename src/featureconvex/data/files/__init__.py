"""Folders with one file per example."""
