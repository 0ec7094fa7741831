"""What the figures of the sweep branch show: the long table in, one plotted table per figure out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from w2sg.plotting.style import LABELS
from w2sg.report.cells import records
from w2sg.report.onsets import placed
from w2sg.study.protocols import protocol_title, protocols_in
from w2sg.tables.schemas import FIGURE
from w2sg.trajectories.prediction import RISING, predict_monotone
from w2sg.trajectories.selection import INTERVAL, case_rows, final_means, floor_levels, rows_with, seed_means

NO_REVISION = -1
"""Step of a row that belongs to no revision: a level or a point of a fitted line."""

Parts = Iterator[pd.DataFrame]
"""Rows of a figure, a panel or a series at a time."""

TWIN = 0
"""Step of the random twin: weights that no training has changed."""

DRAWN = {"probe": "linear-probe accuracy", "loss": "evaluation loss, nats/token"}
"""Predictors that the figure `prediction` and the report's charts draw, with the titles of their axes."""

CAPTIONS = {
    "trajectory": "Test accuracy against pre-training. {lines}; grey: onset with its interval; the last panel: evaluation loss. Numbers: of "
    "the last revision.",
    "probe": "Linear probe of the last layer against pre-training, with both texts of a pair on one side of the split, and with texts dealt "
    "singly. Numbers: of the last revision.",
    "recovery": "Share of the gap between supervisor and ceiling that is recovered (PGR), and expected calibration error.",
    "prediction": "W2SG accuracy against what predicts it. Bars: intervals of each revision; line: monotone least-squares fit; held-out error: "
    "root mean square of predicting the W2SG accuracy of a revision (of several pre-training seeds: of a seed) from all others. Whether two errors "
    "differ is told by the interval of their difference, not by themselves.",
    "layers": "Test accuracy at every layer and revision; layer 0 is the embedding.",
}
"""How the caption of each figure begins."""

NOTHING = pd.DataFrame(columns=FIGURE.fields.names)
"""No rows."""

_TYPES: dict[str, Any] = {
    f.name: "int64" if f.type == pa.int64() else "float64" for f in FIGURE.fields if f.type != pa.string()
}


def figure_table(
    name: str,
    metrics: pd.DataFrame,
    floors: pd.DataFrame,
    *,
    family: str,
    dataset: str,
    concluded: pd.DataFrame = NOTHING,
) -> pd.DataFrame:
    """Returns what a figure of :data:`w2sg.report.catalogue.FIGURES` shows of one family on one dataset, schema FIGURE.

    Values and intervals are means over head seeds, from METRICS and FLOORS: they show the sampling error of the test
    pairs, not that of the seeds.

    The table is empty if there are no W2SG accuracies for this selection: all revisions may have been left out.

    Args:
        name: The figure.
        metrics: Schema METRICS.
        floors: Schema FLOORS.
        family: One of its families.
        dataset: One of its datasets.
        concluded: Rows of :func:`conclusion_rows` that the figure shows too.

    Raises:
        ValueError: On an unknown figure.
    """
    if name not in _TABLES:
        raise ValueError(f"figure must be one of {sorted(_TABLES)}, got {name!r}")
    if rows_with(metrics, family=family, dataset=dataset, head="w2s", metric="accuracy").empty:
        return _joined([])
    rows = case_rows(metrics, family=family, dataset=dataset)
    levels = floor_levels(floors, rows, dataset=dataset)
    return _joined([*_TABLES[name](rows, levels), concluded])


def group_table(
    name: str,
    metrics: pd.DataFrame,
    floors: pd.DataFrame,
    *,
    members: Sequence[str],
    dataset: str,
    concluded: pd.DataFrame = NOTHING,
) -> pd.DataFrame:
    """Returns what one of ``GROUP_FIGURES`` shows of all pre-training seeds of a family, schema FIGURE.

    A series of a seed is named as usual, ``@`` and the seed's family; the mean over seeds, at the steps that all of them
    have, as usual. Levels are those of the first seed; all have the same supervisor.
    """
    found = {one: figure_table(name, metrics, floors, family=one, dataset=dataset) for one in members}
    found = {one: table for one, table in found.items() if len(table)}
    if not found:
        return _joined([])
    first = next(iter(found.values()))
    parts = [first[first["x"].isna()]]
    singles = pd.concat(
        table[(table["step"] != NO_REVISION) & table["x"].notna()].assign(member=one) for one, table in found.items()
    )
    parts.append(singles.assign(series=singles["series"] + "@" + singles["member"]))
    if name == "trajectory":
        keys = ["panel", "series", "step"]
        means = singles[~singles["series"].str.startswith("twin:")].groupby(keys, as_index=False, sort=False).agg(
            layer=("layer", "first"), tokens=("tokens", "first"), x=("x", "first"), value=("value", "mean"), n=("x", "size")
        )  # fmt: skip
        parts.append(means[means["n"] == len(found)])
    else:
        for panel, points in singles.groupby("panel", sort=False):
            parts.append(monotone_fit(points, rising=RISING[str(panel).partition(":")[2]]).assign(panel=panel))
    return _joined([*parts, concluded])


def conclusion_rows(name: str, summary: pd.DataFrame, *, family: str, dataset: str) -> pd.DataFrame:
    """Returns the rows of the table of conclusions that a figure of one family on one dataset shows, in columns of FIGURE.

    A trajectory shows an onset that can be placed, whose step is ``x`` with its interval; a prediction the errors that held-out W2SG accuracy is
    predicted with. Every other figure shows none.
    """
    rows = rows_with(summary, family=family, dataset=dataset)
    level = {"layer": NO_REVISION, "step": NO_REVISION}
    if name == "trajectory":
        rows = placed(rows_with(rows, quantity="onset_step"))
        ends = {"x": rows["value"], "x_low": rows["low"], "x_high": rows["high"]}
        shown = rows.assign(panel=rows["protocol"], series="onset", **ends, value=np.nan, low=np.nan, high=np.nan)
    elif name == "prediction":
        rows = rows[rows["quantity"].isin([f"error_{one}" for one in DRAWN]) & rows["value"].notna()]
        panel = rows["protocol"] + ":" + rows["quantity"].str.removeprefix("error_")
        shown = rows.assign(panel=panel, series="error", low=np.nan, high=np.nan)
    else:
        return NOTHING
    return shown.assign(**level).reindex(columns=FIGURE.fields.names)


def caption(name: str, table: pd.DataFrame, *, family: str, dataset: str, coverage: str) -> str:
    """Returns the caption of a figure for print: what it shows, its revisions, and its numbers, with intervals of a coverage."""
    if table.empty:
        return f"{family} on {dataset}: no revision is left to show.\n"
    steps = sorted(set(table.loc[table["step"] >= 0, "step"]))
    lines = "Means over head seeds"
    if table["series"].str.contains("@", regex=False).any():
        lines = "Thin lines: pre-training seeds; thick ones: their mean"
    elif np.isfinite(rows_with(table, series="w2s")["low"]).any():
        lines = "Bands: intervals, averaged over head seeds"
    drawn = name != "layers" and np.isfinite(table[["low", "x_low"]]).any(axis=None)  # colours have none
    intervals = f"; {coverage} intervals" if drawn else ""
    where = f"{family} on {dataset}, {len(steps)} revisions, steps {steps[0]:,} to {steps[-1]:,}{intervals}"
    lead = f"{CAPTIONS[name].format(lines=lines)} {where}."
    said = [
        f"{place}: {'; '.join(found)}." for place, part in _captioned(name, table) if (found := list(_numbers(part)))
    ]
    return " ".join([lead, *said]) + "\n"


def _captioned(name: str, table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The panels whose numbers a caption gives, with what each is called there."""
    for protocol in protocols_in(table["panel"].str.partition(":")[0]):
        if name == "trajectory":
            yield protocol_title(protocol), table[table["panel"] == protocol]
        elif name == "prediction":
            for predictor in DRAWN:
                part = table[(table["panel"] == f"{protocol}:{predictor}") & (table["series"] == "error")]
                yield f"{protocol_title(protocol)}, {LABELS[predictor]}", part
    if name == "probe":
        yield "accuracy", table[table["panel"] == "accuracy"]


def _numbers(part: pd.DataFrame) -> Iterator[str]:
    """The last value of each curve, the level of the supervisor, the onset and the held-out error."""
    for series in ("w2s", "ceiling", "probe", "pair", "weak"):
        rows = part[part["series"] == series]
        if len(rows):
            last = rows.sort_values("step").iloc[-1]
            ends = f" [{last['low']:.3f}, {last['high']:.3f}]" if np.isfinite(last["low"]) else ""
            yield f"{LABELS[series]} {last['value']:.3f}{ends}"
    for row in records(part[part["series"] == "onset"]):
        yield f"onset at step {row.x:,.0f} [{row.x_low:,.0f}, {row.x_high:,.0f}]"
    for row in records(part[part["series"] == "error"]):
        yield f"held-out error {row.value:.4f}"


def monotone_fit(points: pd.DataFrame, *, rising: bool) -> pd.DataFrame:
    """Returns the rows of the monotone least-squares fit of value on x; none of fewer than three points."""
    known = points[["x", "value"]].dropna().sort_values("x")
    if len(known) < 3 or known["x"].nunique() < 2:
        return pd.DataFrame(columns=["x", "value"])
    x = known["x"].unique()
    fit = predict_monotone(known["x"].to_numpy(), known["value"].to_numpy(), x, increasing=rising)
    return pd.DataFrame({"x": x, "value": fit}).assign(series="monotone", layer=NO_REVISION, step=NO_REVISION)


def _joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    whole = [part.reindex(columns=FIGURE.fields.names) for part in parts if len(part)]
    table = pd.concat(whole, ignore_index=True) if whole else NOTHING
    return table.astype(_TYPES)


def _trajectory(rows: pd.DataFrame, levels: pd.DataFrame) -> Parts:
    yield from _loss(rows)
    for protocol in protocols_in(rows["protocol"]):
        for head in ("w2s", "ceiling", "probe", "permuted"):
            yield _over_steps(final_means(rows, head, "accuracy", protocol), protocol, head)
        reached = final_means(rows, "w2s", "accuracy", protocol)
        twin = rows.loc[(rows["head"] == "w2s") & (rows["step"] == TWIN), "revision"]
        if len(twin):
            yield _over_steps(rows_with(reached, step=TWIN), protocol, f"twin:{twin.iloc[0]}")
        for head in ("weak", "weak_on_weak"):
            yield _level(seed_means(rows, head, "accuracy", protocol), protocol, head)
        yield from _floors(levels, protocol)


def _probe(rows: pd.DataFrame, levels: pd.DataFrame) -> Parts:
    yield from _loss(rows)
    for metric in ("accuracy", "auroc"):
        for split in ("pair", "text"):
            yield _over_steps(final_means(rows, "probe", metric, split=split), metric, split)
    yield from _floors(levels, "accuracy")


def _recovery(rows: pd.DataFrame, levels: pd.DataFrame) -> Parts:
    yield from _loss(rows)
    for protocol in protocols_in(rows["protocol"]):
        yield _over_steps(final_means(rows, "w2s", "pgr", protocol), f"{protocol}:pgr", "w2s")
        for head in ("w2s", "ceiling"):
            yield _over_steps(final_means(rows, head, "ece", protocol), f"{protocol}:ece", head)
        yield _weak(rows, f"{protocol}:ece", "ece", protocol)


def _prediction(rows: pd.DataFrame, levels: pd.DataFrame) -> Parts:
    predictors = {"probe": final_means(rows, "probe", "accuracy"), "loss": final_means(rows, "model", "nats_per_token")}
    for protocol in protocols_in(rows["protocol"]):
        reached = final_means(rows, "w2s", "accuracy", protocol)
        for name, found in predictors.items():
            panel = f"{protocol}:{name}"
            given = found[["step", *INTERVAL]].rename(columns={"value": "x", "low": "x_low", "high": "x_high"})
            points = reached.merge(given, on="step", validate="1:1").assign(panel=panel, series="revision")
            yield points
            yield monotone_fit(points, rising=RISING[name]).assign(panel=panel)
            yield _weak(rows, panel, "accuracy", protocol)


def _layers(rows: pd.DataFrame, levels: pd.DataFrame) -> Parts:
    yield _over_steps(seed_means(rows, "probe", "accuracy"), "probe", "probe")
    for protocol in protocols_in(rows["protocol"]):
        yield _over_steps(seed_means(rows, "w2s", "accuracy", protocol), protocol, "w2s")


_TABLES: dict[str, Callable[[pd.DataFrame, pd.DataFrame], Parts]] = {
    "trajectory": _trajectory, "probe": _probe, "recovery": _recovery, "prediction": _prediction, "layers": _layers
}  # fmt: skip


def _over_steps(found: pd.DataFrame, panel: str, series: str) -> pd.DataFrame:
    return found.assign(panel=panel, series=series, x=found["step"].astype(float))


def _loss(rows: pd.DataFrame) -> Parts:
    """The evaluation loss, which names its text, in nats per token and in bits per byte."""
    text = rows.loc[rows["head"] == "model", "dataset"]
    yield _over_steps(final_means(rows, "model", "nats_per_token"), "loss", f"loss:{text.iloc[0] if len(text) else ''}")
    yield _over_steps(final_means(rows, "model", "bits_per_byte"), "loss", "bits")


def _weak(rows: pd.DataFrame, panel: str, metric: str, protocol: str) -> pd.DataFrame:
    return _level(seed_means(rows, "weak", metric, protocol), panel, "weak")


def _floors(levels: pd.DataFrame, panel: str) -> Iterable[pd.DataFrame]:
    return [_level(part, panel, f"floor:{floor}") for floor, part in levels.groupby("floor", sort=True)]


def _level(found: pd.DataFrame, panel: str, series: str) -> pd.DataFrame:
    """Returns rows without a place on the axis: one value that holds for every revision."""
    return found[INTERVAL].assign(panel=panel, series=series, layer=found.get("layer", NO_REVISION), step=NO_REVISION)
