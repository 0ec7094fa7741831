"""Fits the probe and trains ceiling and W2SG heads of one revision on one dataset; writes their metrics."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from w2sg.runtime import jobs, machine
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_provenance, read_table, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    features: str,
    labels: str,
    pairs: str,
    output: str,
    keys: Mapping[str, str],
    heads: Mapping[str, Any],
    probe: Mapping[str, Any],
    intervals: Mapping[str, Any],
    recipe: int,
    threads: int,
    log: str,
) -> None:
    with jobs.log_to(log):
        from w2sg.activations.features import open_features, split_layers
        from w2sg.heads import evaluate
        from w2sg.study.sections import Heads, Intervals, Probe

        machine.pin_threads(1)
        machine.keep_memory()
        states = open_features(features, expect=keys)
        parts = split_layers(states, read_table(pairs, schemas.PAIRS))
        weak = read_table(labels, schemas.LABELS)
        rows = evaluate.evaluate_revision(
            parts,
            weak,
            heads=Heads.model_validate(heads),
            probe=Probe.model_validate(probe),
            intervals=Intervals.model_validate(intervals),
            workers=threads,
        )
        own = {"heads": dict(heads), "probe": dict(probe), "intervals": dict(intervals), "recipes.HEADS": recipe}
        origin = origins.trace("train_heads", own, [features, labels, pairs])
        supervisor = {key: read_provenance(labels)[key] for key in ("model", "revision", "commit")}
        write_table(
            rows.assign(**keys, commit=states.metadata["commit"]),
            output,
            schemas.RESULTS,
            provenance={**states.metadata, **origin, "weak": supervisor},
        )


if __name__ == "__main__":
    main(
        features=snakemake.input["features"],
        labels=snakemake.input["labels"],
        pairs=snakemake.input["pairs"],
        output=snakemake.output[0],
        keys={
            "model": snakemake.params["model"],
            "revision": snakemake.wildcards["revision"],
            "dataset": snakemake.wildcards["dataset"],
        },
        heads=snakemake.params["heads"],
        probe=snakemake.params["probe"],
        intervals=snakemake.params["intervals"],
        recipe=snakemake.params["recipe"],
        threads=snakemake.threads,
        log=snakemake.log[0],
    )
