"""All estimates of a label from the student's features, by the name that the configuration gives them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from w2sg.heads.cleaning.neighbours import neighbour_mean
from w2sg.heads.cleaning.regression import held_out_probability
from w2sg.study.protocols import CleaningMethod

Estimate = Callable[..., np.ndarray]
"""Returns what other pairs say of each pair's label, P(chosen > rejected), (R, n).

Arguments: differences of the student's states, chosen minus rejected, (n, d); labels, (R, n); and by name section
``heads.cleaning`` (settings) and the section around it (heads), the group of each pair, (n,), and the seed of each row.
"""

ESTIMATES: dict[CleaningMethod, Estimate] = {"knn": neighbour_mean, "probe": held_out_probability}
"""What labels are replaced by, or compared with."""
