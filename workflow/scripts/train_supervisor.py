"""Trains the weak supervisor's heads on true labels, or in a chain on those of the one before; writes its soft labels and its own metrics."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from w2sg.runtime import jobs, machine
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_table, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    features: str,
    pairs: str,
    other_features: Sequence[str],
    other_pairs: Sequence[str],
    taught: str | None,
    labels: str,
    metrics: str,
    keys: Mapping[str, str],
    heads: Mapping[str, Any],
    intervals: Mapping[str, Any],
    recipe: int,
    log: str,
) -> None:
    with jobs.log_to(log):
        from w2sg.activations.features import TEST, TRAIN, open_features, open_others, split_features
        from w2sg.heads.rows import token_rows
        from w2sg.heads.supervision import trained
        from w2sg.study.sections import Heads, Intervals

        machine.pin_threads(1)
        states = open_features(features, expect=keys).read()
        frame = read_table(pairs, schemas.PAIRS)
        splits = split_features(states, frame)
        asked: Any = {"heads": Heads.model_validate(heads), "intervals": Intervals.model_validate(intervals)}
        frames = [read_table(path, schemas.PAIRS) for path in other_pairs]
        asked["others"] = open_others(other_features, frames, keys=keys)
        asked["taught"] = None if taught is None else read_table(taught, schemas.LABELS)
        made = trained.supervise(splits, **asked)
        floor = token_rows(splits[TEST], splits[TRAIN], intervals=asked["intervals"])
        own = {"heads": dict(heads), "intervals": dict(intervals), "recipes.SUPERVISOR": recipe}
        inputs = [features, pairs, *other_features, *other_pairs, *([taught] if taught else [])]
        # It teaches from its final layer, whichever layers are kept.
        stage = "train_chain" if taught else "train_supervisor"
        provenance = states.metadata | origins.trace(stage, own, inputs, without="layers")
        write_table(made.labels, labels, schemas.LABELS, provenance=provenance)
        rows = pd.concat([pd.concat([made.metrics, floor]).assign(tested_on=keys["dataset"]), made.transfer])
        rows = rows.assign(**keys, commit=states.metadata["commit"])
        write_table(rows, metrics, schemas.RESULTS, provenance=provenance)


if __name__ == "__main__":
    main(
        features=snakemake.input["features"],
        pairs=snakemake.input["pairs"],
        other_features=snakemake.input["other_features"],
        other_pairs=snakemake.input["other_pairs"],
        taught=snakemake.input.get("taught"),
        labels=snakemake.output["labels"],
        metrics=snakemake.output["metrics"],
        keys={
            **(snakemake.params.get("own") or {name: snakemake.wildcards[name] for name in ("model", "revision")}),
            "dataset": snakemake.wildcards["dataset"],
        },
        heads=snakemake.params["heads"],
        intervals=snakemake.params["intervals"],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
