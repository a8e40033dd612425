"""A run's results: rows, record and examples, and the curves and metrics derived from them.

Everything here is a function of three files in the run's folder (see :mod:`featureconvex.results.folder`):
no model, no data set. Nothing here draws; :mod:`featureconvex.report` does.
"""
