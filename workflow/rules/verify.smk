"""Whether every file of the study was made with this configuration: read from the files alone, without Snakemake's records. Seconds."""


localrules:
    verify,


def measured_origins():
    """Returns what must have decided each file per dataset, model and revision, by path."""
    entries = [config["datasets"][name] for name in DATASETS] + [config["models"][name] for name in USED]
    corpora = {entry["corpus"] for entry in (*entries, config["evaluation"]) if "corpus" in entry}
    files = {f"resources/corpora/{name}.parquet": DECIDING.documents(name) for name in sorted(corpora)}
    for name in DATASETS:
        files[f"resources/pairs/{name}.parquet"] = DECIDING.pairs(name)
        files[f"{STUDY}/floors/{name}.parquet"] = DECIDING.floors(name)
    for model, revisions in USED.items():
        entry = config["models"][model]
        if entry["source"] == "pretrain":
            size = entry["pretraining"]["vocabulary_size"]
            tokens = f"resources/tokenizers/{entry['corpus']}/{size}/tokens.safetensors"
            files[tokens] = DECIDING.tokens(entry["corpus"])
            files[f"results/pretrained/{model}/origin.json"] = DECIDING.weights(model)
        elif model in HUB_MODELS:
            files[f"results/audit/{model}.parquet"] = DECIDING.audit(model, listed_revisions(model))
        for revision in revisions:
            files[loss_table(model, revision)] = DECIDING.loss(model)
            for name in DATASETS:
                features = f"results/activations/{model}/{revision}/{name}.safetensors"
                files[features] = DECIDING.features(model, revision, name)
    return files


def joined_origins():
    """Returns the same for the study's heads, tables, figures and pages."""
    files = {}
    for family, datasets in CELLS.items():
        weak = f"{FAMILIES[family].weak}/{FAMILIES[family].weak_revision}"
        for dataset in datasets:
            for kind in ("weak_labels", "weak_metrics"):
                files[f"{STUDY}/{kind}/{weak}/{dataset}.parquet"] = DECIDING.supervision(family, dataset)
            files |= dict.fromkeys(head_tables(family, dataset), DECIDING.heads(family, dataset))
            for name in FIGURES:
                figure = f"{STUDY}/figures/{name}/{family}/{dataset}"
                files |= {f"{figure}.{kind}": made_figures() for kind in ("svg", "pdf", "png", "parquet")}
        files[f"{STUDY}/tables/families/{family}.parquet"] = made_family(family)
    files |= {
        f"{STUDY}/tables/{name}.parquet": made_metrics() for name in ("metrics", "floors", "completeness")
    }
    files |= {f"{STUDY}/tables/{name}.parquet": made_statistics() for name in ("transitions", "correlations")}
    files |= {f"{STUDY}/tables/audit.parquet": made_audit(), f"{STUDY}/tables/summary.json": made_summary()}
    return files | {f"{STUDY}/report.html": made_report()}


def theory_origins():
    """Returns the same for the synthetic branch."""
    folder = f"{STUDY}/theory"
    files = {f"{folder}/experiments/{name}.parquet": made_experiment(name) for name in EXPERIMENTS}
    drawn = [f"figures/{figure}.{kind}" for figure in THEORY_FIGURES for kind in ("svg", "png", "parquet")]
    names = ["acceptance.parquet", "worked_radii.parquet", *drawn, "report.html"]
    return files | {f"{folder}/{name}": made_theory() for name in names}


rule verify:
    """Compares what every file of the study says of its origin with the configuration; computes nothing."""
    log:
        "logs/verify.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        wanted=lambda wildcards: measured_origins() | joined_origins() | theory_origins(),
    script:
        "../scripts/verify_study.py"
