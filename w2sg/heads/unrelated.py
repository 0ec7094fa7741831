"""Probes of what does not tell chosen from rejected: they show how much of a probe's rise is the concept's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from w2sg.activations.features import Features
from w2sg.heads.probes import fit_probes
from w2sg.heads.rows import probe_rows
from w2sg.heads.sides import generator
from w2sg.study.sections import Intervals, Probe

_NONE = -1


def unrelated_labels(pairs: pd.DataFrame) -> dict[str, np.ndarray]:
    """Returns labels of the texts of n pairs, chosen ones first, by the name of their probe, (2 n,), -1 for no label.

    ``probe_length``: whether a text, with its prompt, has more characters than the median of its own side.
    ``probe_group``, of chosen texts only: to which of two sets its class belongs, if there are several; the classes in
    order are cut where the sets are most alike in size.

    Args:
        pairs: Columns prompt, chosen, rejected and, for the second, chosen_label.
    """
    n = len(pairs)
    length = np.stack([(pairs["prompt"] + pairs[side]).str.len() for side in ("chosen", "rejected")])  # (2, n)
    labels = {"probe_length": (length > np.median(length, axis=1, keepdims=True)).astype(np.int64).ravel()}
    known = pairs["chosen_label"].to_numpy(str) if "chosen_label" in pairs else np.full(n, "")
    classes, sizes = np.unique(known[known != ""], return_counts=True)
    if len(classes) > 1:
        cut = int(np.argmin(np.abs(np.cumsum(sizes)[:-1] - sizes.sum() / 2)))
        group = np.where(known == "", _NONE, known > classes[cut])
        labels["probe_group"] = np.concatenate([group, np.full(n, _NONE)])
    return labels


def unrelated_rows(
    split: Features, given: Mapping[str, np.ndarray], *, probe: Probe, seeds: Sequence[int], intervals: Intervals
) -> pd.DataFrame:
    """Returns the accuracies of probes of the given labels and of a coin for each text, on unseen pairs.

    Args:
        split: Features of the pairs at one layer.
        given: :func:`unrelated_labels` of the same pairs, in their order.
        probe: The protocol; pairs are dealt whole, whatever it says.
        seeds: Head seeds, which deal the pairs and toss the coins.
        intervals: Section ``intervals`` of the configuration.
    """
    size = 2 * len(split.row_ids)
    coins = np.stack([generator(seed, "unrelated").random(size) < 0.5 for seed in seeds]).astype(np.int64)
    kinds = {name: np.tile(labels, (len(seeds), 1)) for name, labels in given.items()} | {"probe_random": coins}
    settings, runs = probe.model_copy(update={"splits": ["pair"]}), len(kinds) * len(seeds)
    labels = np.concatenate(list(kinds.values()))  # (runs, 2 n)
    fitted = fit_probes(split.chosen, split.rejected, settings=settings, seeds=[*seeds] * len(kinds), labels=labels)
    rows = probe_rows(fitted, split.layers, seeds=range(runs), settings=settings, intervals=intervals)
    rows = rows[rows["metric"] == "accuracy"]
    kind, seed = np.divmod(rows["seed"].to_numpy(), len(seeds))
    return rows.assign(head=np.array(list(kinds))[kind], seed=np.array(seeds)[seed])
