"""Trains the weak supervisor's heads on true labels; writes its soft labels and its own metrics."""

from collections.abc import Mapping
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
    labels: str,
    metrics: str,
    keys: Mapping[str, str],
    heads: Mapping[str, Any],
    intervals: Mapping[str, Any],
    recipe: int,
    log: str,
) -> None:
    with jobs.log_to(log):
        from w2sg.activations.features import TEST, open_features, split_features
        from w2sg.heads import evaluate
        from w2sg.heads.rows import token_rows
        from w2sg.measures.sources import split_clusters
        from w2sg.study.sections import Heads, Intervals

        machine.pin_threads(1)
        states = open_features(features, expect=keys).read()
        frame = read_table(pairs, schemas.PAIRS)
        splits, clusters = split_features(states, frame), split_clusters(frame)
        asked: Any = {"heads": Heads.model_validate(heads), "intervals": Intervals.model_validate(intervals)}
        made = evaluate.supervise(splits, **asked, clusters=clusters)
        section = asked["intervals"]
        floor = token_rows(splits[TEST].tokens, intervals=section, clusters=clusters[TEST])
        own = {"heads": dict(heads), "intervals": dict(intervals), "recipes.SUPERVISOR": recipe}
        # It teaches from its final layer, whichever layers are kept.
        provenance = states.metadata | origins.trace("train_supervisor", own, [features, pairs], without="layers")
        write_table(made.labels, labels, schemas.LABELS, provenance=provenance)
        rows = pd.concat([made.metrics, floor]).assign(**keys, commit=states.metadata["commit"])
        write_table(rows, metrics, schemas.RESULTS, provenance=provenance)


if __name__ == "__main__":
    main(
        features=snakemake.input["features"],
        pairs=snakemake.input["pairs"],
        labels=snakemake.output["labels"],
        metrics=snakemake.output["metrics"],
        keys={name: snakemake.wildcards[name] for name in ("model", "revision", "dataset")},
        heads=snakemake.params["heads"],
        intervals=snakemake.params["intervals"],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
