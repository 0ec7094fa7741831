"""What the report's charts draw, as rows: of one family and dataset, and of all of a study for its overview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from w2sg.measures.agreement import MEAN_SEED
from w2sg.plotting.style import spread
from w2sg.report.conclusions import ONE_SEED
from w2sg.report.onsets import placed
from w2sg.study.protocols import HEADLINE_SETTINGS
from w2sg.trajectories.selection import (
    INTERVAL,
    case_rows,
    final_means,
    floor_levels,
    headline_cells,
    rows_with,
    trained_layers,
)

MAX_LAYERS = 9
"""Layers that a chart carries at most; what is left out is said beside it."""

MEAN = "mean"
"""Entry of the seed menu that shows means over head seeds."""

LOSSES = {"loss": "nats_per_token", "bits": "bits_per_byte"}
"""Series of the evaluation loss, with their metrics."""

ANY = "any"
"""Marks rows that do not depend on a menu: they pass each of its settings."""

COLUMNS = ["series", "layer", "protocol", "seed", "revision", "step", "tokens", "value", "low", "high"]
"""Columns of the rows of one family and dataset."""

OVERVIEW = ["line", "family", "protocol", "metric", *COLUMNS[4:]]
"""Columns of the rows of the overview."""

NUMBERS = COLUMNS[5:]
"""Those that hold numbers."""

TAUGHT = ("corrected", "spoiled")
"""Series of the shares of test pairs on which student and supervisor differ."""


def choose_layers(layers: list[int]) -> list[int]:
    """Returns at most ``MAX_LAYERS`` of the sorted layers, evenly spread, the first and the last among them."""
    return [layers[place] for place in spread(len(layers), MAX_LAYERS)]


def describe_thinning(layers: Mapping[str, list[int]]) -> str:
    """Returns a sentence on which trained layers, given per chart title, charts leave out; empty if they show all."""
    parts = [
        f"{title}: {len(chosen)} of {len(found)} layers ({', '.join(map(str, chosen))})"
        for title, found in layers.items()
        if len(chosen := choose_layers(found)) < len(found)
    ]
    lead = "To keep the page small, charts show a part of the layers, and single seeds only of the last one; the tables hold all."
    return f"{lead} {'; '.join(parts)}." if parts else ""


def chart_rows(
    metrics: pd.DataFrame,
    floors: pd.DataFrame,
    *,
    family: str,
    dataset: str,
    transitions: pd.DataFrame | None = None,
    agreement: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Returns what charts draw of one family and dataset: means over head seeds and each seed.

    Args:
        metrics: Schema METRICS.
        floors: Schema FLOORS.
        family: One of its families.
        dataset: One of its datasets.
        transitions: Schema TRANSITIONS, for onsets; None: none is drawn.
        agreement: Schema AGREEMENT; None: it is not drawn.

    Returns:
        Columns series, layer, protocol and seed as text (``any`` where a row does not depend on it), revision, step,
        tokens (a count), value, low, high. Of an onset the step is the value, and its interval holds steps.
    """
    rows = case_rows(metrics, family=family, dataset=dataset)
    trained = trained_layers(rows)
    layers = choose_layers(trained)
    heads = pd.concat(
        [_accuracies(rows, head) for head in ("w2s", "ceiling", "permuted")]
    ).sort_index()  # as in the table
    drawn = pd.concat([heads, rows_with(rows, **headline_cells("probe", "accuracy")).assign(protocol=ANY)])
    drawn = drawn[drawn["layer"].isin(layers)]
    single = drawn if len(layers) == len(trained) else rows_with(drawn, layer=layers[-1])
    losses = {name: rows_with(rows, **headline_cells("model", metric)) for name, metric in LOSSES.items()}
    levels = floor_levels(floors, rows, dataset=dataset)
    case = {"family": family, "dataset": dataset}
    parts = [
        _means(drawn),
        single,
        *(
            _means(_accuracies(rows, head)).assign(seed=ANY, layer=ANY, step=np.nan, tokens=np.nan)
            for head in ("weak", "weak_on_weak")
        ),
        *(loss.assign(head=name, layer=ANY, protocol=ANY, seed=ANY) for name, loss in losses.items()),
        levels.assign(head="floor:" + levels["floor"], layer=ANY, protocol=ANY, seed=ANY),
        *([] if transitions is None else [_onsets(rows_with(transitions, **case), layers)]),
        *([] if agreement is None else _shares(rows_with(agreement, **case), rows)),
    ]
    shown = [part.rename(columns={"head": "series"}).reindex(columns=COLUMNS) for part in parts if len(part)]
    whole = pd.concat([part.astype({"layer": str, "seed": str}) for part in shown], ignore_index=True)
    return whole.assign(tokens=(1e9 * whole["tokens"]).round())


def _accuracies(rows: pd.DataFrame, head: str) -> pd.DataFrame:
    return pd.concat([rows_with(rows, **headline_cells(head, "accuracy", protocol)) for protocol in HEADLINE_SETTINGS])


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    keys = ["head", "layer", "protocol", "revision", "step", "tokens"]
    return rows.groupby(keys, as_index=False)[INTERVAL].mean().assign(seed=MEAN)


def _onsets(found: pd.DataFrame, layers: Sequence[int]) -> pd.DataFrame:
    """Onsets of every layer and seed that can be placed."""
    found = placed(found[(found["estimate"] == "onset_step") & found["layer"].isin(layers)])
    seeds = found["seed"].astype(str).mask(found["seed"] == MEAN_SEED, MEAN)
    return found.assign(head="onset", step=found["value"], seed=seeds)


def _shares(found: pd.DataFrame, rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Shares of the test pairs that the student corrects and spoils, of each seed and their mean."""
    names = rows.drop_duplicates("step").set_index("step")
    parts = []
    for share in TAUGHT:
        one = found.assign(head=share, value=found[share], low=np.nan, high=np.nan, layer=ANY)
        one = one.assign(revision=one["step"].map(names["revision"]), tokens=one["step"].map(names["tokens"]))
        keys = ["head", "layer", "protocol", "revision", "step", "tokens"]
        parts += [one, one.groupby(keys, as_index=False)[INTERVAL].mean().assign(seed=MEAN)]
    return parts


def overview_rows(
    metrics: pd.DataFrame, summary: pd.DataFrame, groups: Mapping[str, Sequence[str]]
) -> tuple[pd.DataFrame, list[str]]:
    """Returns what the overview draws, and its lines in order: a family on a dataset, all pre-training seeds as one.

    A row per family, dataset, protocol and revision of metric ``gain`` (over the supervisor; mean over head seeds, last layer), and one of
    metric ``onset`` per case where it can be placed: tokens with their interval in ``value``, ``low``, ``high``.
    """
    pooled = {member: name for name, members in groups.items() for member in members}
    keys = metrics.loc[metrics["head"] == "w2s", ["family", "dataset"]].drop_duplicates()
    parts = []
    for family, dataset in keys.sort_values(["family", "dataset"]).itertuples(index=False, name=None):
        rows = case_rows(metrics, family=family, dataset=dataset)
        line = f"{pooled.get(family, family)} on {dataset}"
        names = rows.drop_duplicates("step").set_index("step")["revision"]
        for protocol in HEADLINE_SETTINGS:
            found = final_means(rows, "w2s", "gain", protocol)
            found = found.assign(revision=found["step"].map(names), tokens=1e9 * found["tokens"])
            parts.append(found.assign(line=line, family=family, protocol=protocol, metric="gain"))
    onsets = placed(rows_with(summary, quantity="onset_tokens"))
    onsets = onsets[onsets["level"] != ONE_SEED]
    ends = {name: 1e9 * onsets[name] for name in INTERVAL}
    families = onsets["family"].replace(pooled)
    parts.append(onsets.assign(line=families + " on " + onsets["dataset"], metric="onset", **ends))
    whole = pd.concat([part.reindex(columns=OVERVIEW) for part in parts if len(part)], ignore_index=True)
    lines = list(dict.fromkeys(whole.loc[whole["metric"] != "onset", "line"]))
    return whole[whole["line"].isin(lines)], lines
