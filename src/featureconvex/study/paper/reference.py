"""What the paper and the code of its authors have, as far as this project knows it.

The numbers are from runs of the authors' code, three seeds each (CIFAR-10: one, 70 of its 150 epochs), in
closed form, over the flagged sensitive test points; the words are from the paper (arXiv
2302.01961) and the scripts of its authors.
"""

AUTHORS: dict[str, dict[str, tuple[float, float]]] = {
    "mnist-3-8": {
        "clean_accuracy": (0.988, 0.988),
        "l1": (10.2, 10.4),
        "l2": (1.71, 1.76),
        "linf": (0.097, 0.099),
    },
    "fashion-shirts": {
        "clean_accuracy": (0.819, 0.826),
        "l1": (9.5, 9.5),
        "l2": (1.11, 1.15),
        "linf": (0.054, 0.058),
    },
    "cifar10-cats-dogs": {
        "clean_accuracy": (0.669, 0.669),
        "l1": (6.0, 6.0),
        "l2": (0.43, 0.43),
        "linf": (0.010, 0.010),
    },
}
"""Least and largest of the seeds."""
TITLES = {
    "mnist-3-8": "MNIST 3 vs 8",
    "fashion-shirts": "Fashion T-shirts vs shirts",
    "cifar10-cats-dogs": "CIFAR-10 cats vs dogs",
}
TRAINING_ACCURACY = 0.734
"""Of the authors' network on cats against dogs, where 100 % is attainable (Corollary 3.8)."""
