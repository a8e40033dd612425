"""The methods of a comparison in which each class is to stay what it is.

``method`` is the interface, ``scores`` what methods with a score per class share, ``registry`` lists them.
"""
