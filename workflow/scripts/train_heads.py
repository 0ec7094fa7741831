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
    sections: Mapping[str, Any],
    recipe: int,
    threads: int,
    log: str,
) -> None:
    with jobs.log_to(log):
        from w2sg.activations.features import open_features, split_layers
        from w2sg.heads import evaluate
        from w2sg.measures.sources import split_clusters
        from w2sg.study.sections import Heads, Intervals, Probe

        machine.pin_threads(1)
        machine.keep_memory()
        states = open_features(features, expect=keys)
        frame = read_table(pairs, schemas.PAIRS)
        parts, clusters = split_layers(states, frame), split_clusters(frame)
        weak = read_table(labels, schemas.LABELS)
        kinds = {"heads": Heads, "probe": Probe, "intervals": Intervals}
        asked: Any = {name: kind.model_validate(sections[name]) for name, kind in kinds.items()}
        rows = evaluate.evaluate_revision(parts, weak, **asked, clusters=clusters, workers=threads)
        origin = origins.trace("train_heads", {**sections, "recipes.HEADS": recipe}, [features, labels, pairs])
        supervisor = {key: read_provenance(labels)[key] for key in ("model", "revision", "commit")}
        provenance = {**states.metadata, **origin, "weak": supervisor}
        write_table(
            rows.assign(**keys, commit=states.metadata["commit"]), output, schemas.RESULTS, provenance=provenance
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
        sections={name: snakemake.params[name] for name in ("heads", "probe", "intervals")},
        recipe=snakemake.params["recipe"],
        threads=snakemake.threads,
        log=snakemake.log[0],
    )
