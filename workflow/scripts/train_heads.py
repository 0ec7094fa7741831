"""Fits the probe and trains ceiling and W2SG heads of one revision on one dataset; writes their metrics."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

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
    other_features: Sequence[str],
    other_pairs: Sequence[str],
    weak_features: str | None,
    output: str,
    predictions: str,
    keys: Mapping[str, str],
    sections: Mapping[str, Any],
    recipe: int,
    threads: int,
    log: str,
) -> None:
    with jobs.log_to(log):
        from w2sg.activations.features import TRAIN, WEAK, open_features, open_others, split_layers
        from w2sg.heads import evaluate
        from w2sg.heads.controls import unrelated_labels
        from w2sg.study.sections import Heads, Intervals, Probe

        machine.pin_threads(1)
        machine.keep_memory()
        states = open_features(features, expect=keys)
        frame = read_table(pairs, schemas.PAIRS)
        parts = split_layers(states, frame)
        weak = read_table(labels, schemas.LABELS)
        kinds = {"heads": Heads, "probe": Probe, "intervals": Intervals}
        asked: Any = {name: kind.model_validate(sections[name]) for name, kind in kinds.items()}
        asked["unrelated"] = unrelated_labels(frame[frame["split"] == TRAIN])
        frames = [read_table(path, schemas.PAIRS) for path in other_pairs]
        asked["others"] = open_others(other_features, frames, keys=keys)
        supervisor = {key: read_provenance(labels)[key] for key in ("model", "revision", "commit")}
        given = {"keys": {key: supervisor[key] for key in ("model", "revision")}, "split": WEAK}
        if weak_features is not None:
            asked["supervisor"] = open_others([weak_features], [frame], **given)[keys["dataset"]]
            origins.trace("train_heads", sections, [labels, weak_features], without="layers")  # kept layers are its own
        made = evaluate.evaluate_revision(parts, weak, **asked, workers=threads)
        inputs = [features, labels, pairs, *other_features, *other_pairs]
        origin = origins.trace("train_heads", {**sections, "recipes.HEADS": recipe}, inputs)
        provenance = {**states.metadata, **origin, "weak": supervisor}
        keys = {**keys, "commit": states.metadata["commit"]}
        write_table(made.predictions.assign(**keys), predictions, schemas.PREDICTIONS, provenance=provenance)
        rows = pd.concat([made.metrics.assign(tested_on=keys["dataset"]), made.transfer]).assign(**keys)
        write_table(rows, output, schemas.RESULTS, provenance=provenance)


if __name__ == "__main__":
    main(
        features=snakemake.input["features"],
        labels=snakemake.input["labels"],
        pairs=snakemake.input["pairs"],
        other_features=snakemake.input["other_features"],
        other_pairs=snakemake.input["other_pairs"],
        weak_features=snakemake.input["weak_features"] or None,
        output=snakemake.output["metrics"],
        predictions=snakemake.output["predictions"],
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
