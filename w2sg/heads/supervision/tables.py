"""Labels as a table: looked up by pair, joined of several supervisors, made of a file, and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd

from w2sg.activations.features import TEST, TRAIN, WEAK
from w2sg.heads.controls import Labels
from w2sg.heads.fits import FITS
from w2sg.heads.halves import deal_halves, draws_of, rightness, training_sd, widen
from w2sg.heads.rows import head_rows
from w2sg.heads.sides import LEFT_OUT, chosen_probability, toss
from w2sg.measures.sources import pair_clusters
from w2sg.study.protocols import HEADLINE_SETTINGS
from w2sg.study.sections import Heads, Intervals

_KEYS = ["protocol", "seed", "half", "split", "row_id"]

SURE = 1e-6
"""Margins are those of probabilities that are kept so far from 0 and 1, where they have no bound."""


def look_up(labels: pd.DataFrame) -> Labels:
    """Returns a function that gives the labels of some pairs, and keeps its answers.

    Args:
        labels: Schema LABELS.
    """
    cells = dict(iter(labels.groupby(["protocol", "seed", "split", "half"], sort=False)))
    return lru_cache(partial(_labelled, cells))


def _labelled(
    cells: Mapping[Any, pd.DataFrame],
    protocol: str,
    seed: int,
    name: str,
    row_ids: tuple[str, ...],
    half: int = 0,
) -> pd.DataFrame:
    """Returns the supervisor's labels of the given pairs of a split, in their order."""
    rows = cells.get((protocol, seed, name, half), next(iter(cells.values()))[:0])
    index = pd.Index(rows["row_id"])
    place = index.get_indexer(pd.Index(row_ids)) if index.is_unique else np.full(len(row_ids), -1)
    if (place < 0).any() or len(rows) != len(row_ids):
        missing = [row_id for row_id, at in zip(row_ids, place, strict=True) if at < 0]
        raise ValueError(
            f"the supervisor labelled {len(rows)} pairs of split {name}, the student has {len(row_ids)}; "
            f"{len(missing)} of them have no label, such as {missing[:1]}"
        )
    return rows.iloc[place]


def mean_labels(tables: Sequence[pd.DataFrame], *, keep: float | None = None) -> pd.DataFrame:
    """Returns the mean of several supervisors' probabilities, with the margin that stands for it.

    Of halves of the pairs it is that of supervisors trained on the same halves.

    Args:
        tables: Schema LABELS each, of the same pairs.
        keep: Share of the weak-supervision pairs that are kept, those on which the supervisors disagree least; the others are
            marked as left out. Disagreement is the standard deviation of their probabilities, averaged over protocols and,
            of all pairs, over seeds, so that all students learn the same pairs.

    Equation: (L7).

    Raises:
        ValueError: If the tables are not of the same pairs, shown in the same order.
    """
    first, *others = (table.set_index(_KEYS).sort_index() for table in tables)
    if any(not one.index.equals(first.index) or (one["swapped"] != first["swapped"]).any() for one in others):
        raise ValueError(
            "the supervisors did not label the same pairs, or showed them in another order; remake their labels"
        )
    each = np.stack([chosen_probability(one) for one in (first, *others)])  # (K, rows), NaN where one has left it out
    mean = each.mean(0)
    swapped = first["swapped"].to_numpy(dtype=bool)
    made = first.assign(margin=_logit(np.nan_to_num(mean, nan=0.5)), probability=np.where(swapped, 1.0 - mean, mean))
    made = made.reset_index()
    if keep is not None:
        pairs = made["seed"].where(made["half"] > 0, -1)  # halves are of a seed
        own = made["split"] == WEAK
        spread = pd.Series(each.std(0), index=made.index)[own].groupby([made["half"], pairs, made["row_id"]]).mean()
        order = spread.groupby(level=[0, 1]).rank(method="first")
        most = spread.groupby(level=[0, 1]).transform("count").mul(keep).round().clip(lower=1)
        left = (order > most)[lambda found: found].index
        out = own & pd.MultiIndex.from_arrays([made["half"], pairs, made["row_id"]]).isin(left)
        made["probability"] = made["probability"].where(~out, LEFT_OUT)
    return made.fillna({"probability": LEFT_OUT})[list(tables[0].columns)]


def given_labels(pairs: pd.DataFrame, found: Mapping[str, float], *, heads: Heads) -> pd.DataFrame:
    """Returns probabilities out of a file as LABELS: the same for every protocol and seed.

    Nothing is known of what they were made from: those of half the pairs are the same labels.

    Args:
        pairs: Schema PAIRS.
        found: Probability by row id: that the chosen text is the better one, of labelled texts that it is of the positive class.
        heads: Section of the configuration.
    """
    parts = {name: pairs[pairs["split"] == name] for name in (TRAIN, WEAK, TEST)}
    draws, frames = draws_of(heads.seeds), []
    dealt = [deal_halves(len(parts[name]), draws, clusters=pair_clusters(parts[name])) for name in (TRAIN, WEAK)]
    halves = dealt[1] if len(dealt[0]) else dealt[0]
    for name in (WEAK, TEST):
        part = parts[name]
        given = part["row_id"].map(found).to_numpy(dtype=np.float64)
        chosen = np.where(
            part["chosen"] == "", 1.0 - given, given
        )  # a labelled text of another class has no chosen side
        cells = [(seed, 0, slice(None)) for seed in heads.seeds]
        for draw, both in zip(draws, halves, strict=False):
            cells += [(draw, half + 1, rows if name == WEAK else slice(None)) for half, rows in enumerate(both)]
        for seed, half, rows in cells:
            swapped = toss(len(part), seed)
            shown = {
                "swapped": swapped,
                "probability": np.where(swapped, 1.0 - chosen, chosen),
                "margin": _logit(chosen),
            }
            frame = pd.DataFrame({"row_id": part["row_id"].to_numpy(), **shown}).iloc[rows]
            frames += [frame.assign(protocol=protocol, seed=seed, half=half, split=name) for protocol in FITS]
    return pd.concat(frames, ignore_index=True)


def label_rows(labels: pd.DataFrame, pairs: pd.DataFrame, *, heads: Heads, intervals: Intervals) -> pd.DataFrame:
    """Returns the metric rows of a supervisor that scores with no model of its own, on the test pairs.

    Args:
        labels: Schema LABELS.
        pairs: Schema PAIRS.
        heads: Section of the configuration, as the one that follows.
        intervals: Of all metrics.

    Returns:
        Columns as in :func:`w2sg.heads.rows.head_rows`, layer -1.
    """
    test, weak = (pairs[pairs["split"] == name] for name in (TEST, WEAK))
    known, ids, frames = look_up(labels), tuple(test["row_id"]), []
    one_sided = (test["chosen"] == "") | (test["rejected"] == "")
    classes = (test["rejected"] == "").to_numpy(dtype=np.int64) if one_sided.all() else None
    halves = labels[labels["half"] > 0].groupby(["seed", "half"]).size()
    for protocol in FITS:
        margins = np.stack([known(protocol, seed, TEST, ids)["margin"] for seed in heads.seeds])
        axes, keys = ([-1], heads.seeds, [HEADLINE_SETTINGS[protocol]]), {"head": "weak", "protocol": protocol}
        given = {"clusters": pair_clusters(test), "classes": classes, "extras": {}}
        rows = head_rows(margins[None, :, None], axes, keys=keys, intervals=intervals, **given)
        if len(halves):
            shown = [known(protocol, draw, TEST, ids, half)["margin"] for draw, half in halves.index]
            learned = (labels["half"] == 1) & (labels["split"] == WEAK) & (labels["protocol"] == protocol)
            share = learned.sum() / labels.loc[learned, "seed"].nunique() / len(weak)
            right = rightness(np.stack(shown)).reshape(-1, 2, len(test))
            sd = training_sd(right, share=share, clusters=pair_clusters(test))
            rows = widen(rows, {"accuracy": sd}, confidence=intervals.confidence) if sd > 0 else rows
        frames.append(rows)
    return pd.concat(frames, ignore_index=True)


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, SURE, 1.0 - SURE)
    return np.log(p) - np.log1p(-p)
