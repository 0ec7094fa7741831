"""Trains the weak supervisor's heads on true labels; writes its soft labels and its own metrics."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from w2sg import runtime, schemas, tables

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
    with runtime.log_to(log):
        from w2sg import protocol
        from w2sg.features import read_features
        from w2sg.preferences import PAIRS
        from w2sg.splits import split_features

        runtime.pin_threads(1)
        states = read_features(features, expect=keys)
        splits = split_features(states, tables.read_table(pairs, PAIRS))
        made = protocol.supervise(splits, heads=heads, intervals=intervals)
        provenance = {**states.metadata, "recipe": recipe, "heads": dict(heads), "metrics": dict(intervals)}
        tables.write_table(made.labels, labels, schemas.LABELS, provenance=provenance)
        rows = made.metrics.assign(**keys, commit=states.metadata["commit"])
        tables.write_table(rows, metrics, schemas.RESULTS, provenance=provenance)


if __name__ == "__main__":
    main(
        features=snakemake.input["features"],
        pairs=snakemake.input["pairs"],
        labels=snakemake.output["labels"],
        metrics=snakemake.output["metrics"],
        keys={name: snakemake.wildcards[name] for name in ("model", "revision", "dataset")},
        heads=snakemake.params["heads"],
        intervals=snakemake.params["metrics"],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
