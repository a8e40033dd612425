"""Inputs of a user, in pieces of bounded size: what each holds, and which rows of it can be read."""
