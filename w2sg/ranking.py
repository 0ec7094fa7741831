"""The inner loop of rank statistics under many weightings of the same scores."""

from __future__ import annotations

import numpy as np

from w2sg.compiled import compiled


@compiled
def rank_sums(order, values, gain, load, weight):
    """Returns sum_i gain_i w_i (2 sum_{j below i} load_j w_j + sum_{j equal to i} load_j w_j), float64, (B,).

    One pass over the rows in ascending order, with a running sum for each weighting: both stay in the cache.

    Args:
        order: Rows in ascending order of their values, int64, (n,).
        values: Value of each row, (n,); equal ones tie.
        gain: Factor of each row where it is the higher one, float64, (n,).
        load: Factor of each row where it is the lower one, float64, (n,).
        weight: Weights of the rows, (n, B).
    """
    n, b = weight.shape
    below, total = np.zeros(b), np.zeros(b)
    up, down = np.zeros(b), np.zeros(b)
    first = 0
    while first < n:
        last = first + 1
        while last < n and values[order[last]] == values[order[first]]:
            last += 1
        if last == first + 1:  # the rule: nothing to add up before it counts
            i = order[first]
            row = weight[i]
            for k in range(b):
                more = load[i] * row[k]
                total[k] += gain[i] * row[k] * (2.0 * below[k] + more)
                below[k] += more
            first = last
            continue
        up[:], down[:] = 0.0, 0.0
        for place in range(first, last):
            i = order[place]
            row = weight[i]
            for k in range(b):
                up[k] += gain[i] * row[k]
                down[k] += load[i] * row[k]
        for k in range(b):
            total[k] += up[k] * (2.0 * below[k] + down[k])
            below[k] += down[k]
        first = last
    return total
