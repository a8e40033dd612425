"""Worst cases over l_p balls: one module per norm family.

* ``l1``, ``linf``, ``power``: p = 1, p = inf, and p between, for concave curves ``a min(t, T)``;
* ``dual``: finite p and any curves, by a multiplier of the budget;
* ``logarithms``, ``relative``: the same for exponents and numbers that leave the range of floating point;
* ``worst_case``: which of them answers; ``best_move`` and ``projection``: for attacks.

Level ``sound`` checks what these find with outward rounding, in
:mod:`featureconvex.certificates.levels.sound.fall_radius`.
"""
