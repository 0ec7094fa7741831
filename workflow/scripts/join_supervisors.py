"""Makes the labels of a supervisor that scores with no model of its own: the mean of others, or a file; writes them and their metrics."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2sg.runtime import jobs
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_table, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    tables: Sequence[str],
    file: str | None,
    pairs: str,
    labels: str,
    metrics: str,
    keys: Mapping[str, str],
    entry: Mapping[str, Any],
    heads: Mapping[str, Any],
    intervals: Mapping[str, Any],
    recipe: int,
    log: str,
) -> None:
    with jobs.log_to(log):
        from w2sg.data.door.labels import match_labels, read_labels
        from w2sg.heads.supervision.tables import given_labels, label_rows, mean_labels
        from w2sg.runtime import machine
        from w2sg.study.sections import Heads, Intervals

        machine.pin_threads(1)
        frame = read_table(pairs, schemas.PAIRS)
        asked: Any = {"heads": Heads.model_validate(heads), "intervals": Intervals.model_validate(intervals)}
        if file is None:
            made = mean_labels([read_table(path, schemas.LABELS) for path in tables], keep=entry.get("keep"))
        else:
            found = match_labels(read_labels(file), dict(zip(frame["row_id"], frame["split"], strict=True)), file)
            made = given_labels(frame, found, heads=asked["heads"])
        own = {"heads": dict(heads), "intervals": dict(intervals), "recipes.SUPERVISOR": recipe}
        own[f"supervisors.{keys['model']}"] = dict(entry)
        identity = {**keys, "commit": ""}
        stage = "join_supervisors" if file is None else "read_labels"
        provenance = identity | origins.trace(stage, own, [*tables, pairs])
        write_table(made, labels, schemas.LABELS, provenance=provenance)
        rows = label_rows(made, frame, **asked).assign(**identity, tested_on=keys["dataset"])
        write_table(rows, metrics, schemas.RESULTS, provenance=provenance)


if __name__ == "__main__":
    main(
        tables=snakemake.input.get("labels", []),
        file=snakemake.input.get("file"),
        pairs=snakemake.input["pairs"],
        labels=snakemake.output["labels"],
        metrics=snakemake.output["metrics"],
        keys={
            "model": snakemake.wildcards["supervisor"],
            "revision": snakemake.wildcards["revision"],
            "dataset": snakemake.wildcards["dataset"],
        },
        entry=snakemake.params["entry"],
        heads=snakemake.params["heads"],
        intervals=snakemake.params["intervals"],
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
