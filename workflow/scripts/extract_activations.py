"""Opens one revision, runs every dataset's texts through it once, writes features per dataset and the evaluation loss."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from w2sg.revisions import access
from w2sg.revisions.scratch import Store
from w2sg.runtime import jobs
from w2sg.study import definitions
from w2sg.study.protocols import trained_kinds
from w2sg.tables import origins, schemas
from w2sg.tables.files import write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    name: str,
    revision: str,
    model: Mapping[str, Any],
    pairs: Mapping[str, str],
    entries: Mapping[str, Mapping[str, Any]],
    documents: str,
    trained: Sequence[str],
    features: Mapping[str, str],
    loss: str,
    activations: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    root: str,
    config: Mapping[str, Any],
    ticket: str | None,
    recipe: int,
    log: str,
) -> None:
    store, shared = Store.of(config), bool(trained_kinds(config["students"]["kinds"]))
    with jobs.log_to(log), access.take_ticket(ticket, store, keep=shared) as fetched:
        from w2sg.activations import extraction
        from w2sg.activations.check import check_model
        from w2sg.activations.models import load_model, read_model_config
        from w2sg.runtime import machine

        device = machine.pick_device(activations["device"])
        settings = extraction.Settings(**activations, dtype=machine.compute_type(model["dtype"], device))
        machine.pin_threads(settings.threads)
        frames = extraction.read_frames(pairs, test_fraction=config["probe"]["test_fraction"])
        texts = extraction.evaluation_texts(documents, documents_wanted=evaluation["documents"])
        passes = definitions.forward_settings(activations)
        kept = {"layers": passes.pop("layers")}
        own = {f"models.{name}": definitions.identity(model), "activations": passes, "recipes.ACTIVATIONS": recipe}
        made_of = {d: origins.trace("extract_activations", own | kept, [path, *trained]) for d, path in pairs.items()}
        own |= {"evaluation": dict(evaluation)}
        loss_origin = origins.trace("extract_activations", own, [documents, *trained])
        # Everything slow that needs no weights is done by now: from here on a place on the disk is taken.
        opened = access.open_revision(model, revision, name=name, root=Path(root), store=store, fetched=fetched)
        with opened as folder:
            described = read_model_config(folder.path)
            fault = extraction.check_config(described, settings, name=f"{name} {revision}")
            with machine.claim_device(device) as claimed:
                loaded = load_model(folder.path, dtype=settings.dtype, device=claimed, drawn="like" in model)
                loaded = check_model(loaded, fault=fault)
                keys = {"model": name, "revision": revision, "commit": folder.commit}
                read = extraction.reading(folder.path, described)
                scored = f"{name} {revision}, corpora.{evaluation['corpus']}"
                measured = extraction.measure_loss(loaded, texts, settings=settings, name=scored)
                options = {"outputs": features, "entries": entries, "settings": settings, "origins": made_of}
                read["texts"] = extraction.write_all_features(loaded, frames, keys=keys | read, **options)
        rows = pd.DataFrame(measured).assign(**keys, dataset=evaluation["corpus"], tested_on=evaluation["corpus"])
        write_table(rows, loss, schemas.RESULTS, provenance=loss_origin | {"read": read, "weights": folder.hashes})


def by_dataset(paths: Sequence[str]) -> dict[str, str]:
    """Returns files by the dataset that each is named after."""
    return {Path(path).stem: path for path in paths}


if __name__ == "__main__":
    pairs = by_dataset(snakemake.input["pairs"])
    main(
        name=snakemake.wildcards["model"],
        revision=snakemake.wildcards["revision"],
        model=snakemake.params["model"],
        pairs=pairs,
        entries={dataset: snakemake.config["datasets"][dataset] for dataset in pairs},
        documents=snakemake.input["documents"],
        trained=[path for path in snakemake.input.get("published", []) if path.endswith(".json")],
        features=by_dataset(snakemake.output["features"]),
        loss=snakemake.output["loss"],
        activations={**snakemake.config["activations"], **snakemake.params["activations"]},
        evaluation=snakemake.params["evaluation"],
        root=f"results/pretrained/{snakemake.wildcards['model']}",
        config=snakemake.config,
        ticket=snakemake.input.get("ticket"),
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
