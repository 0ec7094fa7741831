"""Trains the students of one revision whose backbone learns, of all kinds on all datasets; writes their metrics and margins."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg.revisions import access
from w2sg.revisions.scratch import Store
from w2sg.runtime import jobs
from w2sg.study import definitions
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_provenance, read_table, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    role: str,
    name: str,
    revision: str,
    model: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, str]],
    trained: list[str],
    outputs: Mapping[str, Mapping[str, str]],
    sections: Mapping[str, Any],
    kept: str,
    config: Mapping[str, Any],
    ticket: str | None,
    recipe: int,
    log: str,
) -> None:
    store, activations = Store.of(config), config["activations"]
    with jobs.log_to(log), access.take_ticket(ticket, store, keep=True) as fetched:
        from w2sg.activations import extraction
        from w2sg.activations.features import WEAK, open_others
        from w2sg.heads.cleaning.labels import clean_labels
        from w2sg.runtime import machine
        from w2sg.students import revision as students
        from w2sg.study.sections import Heads

        device = machine.pick_device(activations["device"])
        settings = extraction.Settings(**activations, dtype=machine.compute_type(model["dtype"], device))
        machine.pin_threads(settings.threads)
        own = {**sections, f"models.{name}": definitions.identity(model), "recipes.STUDENTS": recipe}
        own["activations"] = {k: v for k, v in definitions.forward_settings(activations).items() if k != "layers"}
        made = {
            dataset: origins.trace("train_students", own, [*paths.values(), *trained], without="layers")
            for dataset, paths in inputs.items()
        }
        root = Path("results/pretrained") / name
        opened = access.open_revision(model, revision, name=name, root=root, store=store, fetched=fetched)
        with opened as folder, machine.claim_device(device) as claimed:
            keys = {"model": name, "revision": revision, "commit": folder.commit}
            heads, lessons = Heads.model_validate(sections["heads"]), {}
            for dataset, paths in inputs.items():
                pairs, labels = read_table(paths["pairs"], schemas.PAIRS), read_table(paths["labels"], schemas.LABELS)
                if heads.cleaning is not None:
                    (load,) = open_others([paths["features"]], [pairs], keys=keys, split=WEAK).values()
                    labels = clean_labels(labels, load(), heads=heads)
                lessons[dataset] = students.Lesson(pairs=pairs, labels=labels, entry=config["datasets"][dataset])
            options = {"sections": sections, "settings": settings, "device": claimed, "drawn": "like" in model}
            options |= {"kept": Path(kept), "made": {d: {**keys, "made": one["made"]} for d, one in made.items()}}
            weights = {d: Path(path).with_suffix("") for d, path in outputs["metrics"].items()}
            if not Path(kept).exists():  # the first attempt: what stayed is of students that are replaced
                for place in weights.values():
                    shutil.rmtree(place, ignore_errors=True)
            if sections["students"]["keep"]:
                options["weights"] = weights
            for dataset, taught in students.teach_revision(folder.path, lessons, role=role, **options):
                supervisor = read_provenance(inputs[dataset]["labels"])
                weak = {key: supervisor[key] for key in ("model", "revision", "commit")}
                own_keys = {**keys, "dataset": dataset}
                provenance = {**own_keys, **made[dataset], "weak": weak}
                rows = taught.metrics.assign(**own_keys, tested_on=dataset)
                write_table(rows, outputs["metrics"][dataset], schemas.RESULTS, provenance=provenance)
                shown = taught.predictions.assign(**own_keys)
                write_table(shown, outputs["predictions"][dataset], schemas.PREDICTIONS, provenance=provenance)
    shutil.rmtree(kept, ignore_errors=True)


if __name__ == "__main__":
    read = {key: {Path(p).stem: p for p in snakemake.input[key]} for key in ("pairs", "labels", "features")}
    main(
        role=snakemake.params["role"],
        name=snakemake.params["name"],
        revision=snakemake.wildcards["revision"],
        model=snakemake.params["model"],
        inputs={dataset: {key: paths[dataset] for key, paths in read.items()} for dataset in read["pairs"]},
        trained=[path for path in snakemake.input["published"] if path.endswith(".json")],
        outputs={kind: {Path(p).stem: p for p in snakemake.output[kind]} for kind in ("metrics", "predictions")},
        sections={name: snakemake.params[name] for name in ("students", "heads", "intervals")},
        kept=snakemake.params["kept"],
        config=snakemake.config,
        ticket=snakemake.input.get("ticket"),
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
