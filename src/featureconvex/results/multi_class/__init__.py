"""What a run of several classes keeps and derives: each class is to stay what it is.

``record`` and ``rows`` are its files, ``folder`` reads both, ``counts`` says how often a class is taken for
another, ``warnings`` what to doubt, ``metrics`` derives ``metrics.json``.
"""
