"""Which pairs rest on the same text: they are resampled together."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def pair_clusters(pairs: pd.DataFrame) -> np.ndarray:
    """Returns the group of every pair, int64, (n,), from 0 in the order of the pairs.

    Pairs whose texts share a source, on either side, are in one group, and so are pairs linked by such pairs. A pair
    without sources is a group of its own.

    Args:
        pairs: Columns chosen_source and rejected_source; empty text is no source.
    """
    n = len(pairs)
    names = np.concatenate([pairs["chosen_source"], pairs["rejected_source"]]).astype(str)
    known = np.flatnonzero(names)
    sources, codes = np.unique(names[known], return_inverse=True)
    nodes = n + len(sources)
    links = coo_array((np.ones(len(known)), (known % n, n + codes)), shape=(nodes, nodes))
    return connected_components(links, directed=False)[1][:n].astype(np.int64)
