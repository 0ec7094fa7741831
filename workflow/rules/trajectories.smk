"""From many small tables to one, and from that to the answer. Seconds."""


localrules:
    collect_family,
    collect_metrics,
    correlate,


def family_tables(name):
    """Returns the tables of one family: heads and losses per revision, and its supervisor's."""
    family = FAMILIES[name]
    weak = f"{STUDY}/weak_metrics/{family.weak}/{family.weak_revision}"
    return {
        "heads": [path for dataset in DATASETS for path in head_tables(family.name, dataset)],
        "losses": present(loss_table(family.strong, one.name) for one in family.revisions),
        "weak": present(f"{weak}/{dataset}.parquet" for dataset in DATASETS),
    }


def made_family(name):
    """Returns what decides a family's table; among it are the names of its inputs, of which one may be no longer wanted."""
    files = sorted(path for paths in family_tables(name).values() for path in paths)
    return DECIDING.family(name, CELLS[name], files)


rule collect_family:
    """Joins the tables of one family, with step and tokens of each revision."""
    input:
        unpack(lambda wildcards: family_tables(wildcards.family)),
    output:
        "<study>/tables/families/{family}.parquet",
    log:
        "logs/collect_family/{family}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        family=lambda wildcards: asdict(FAMILIES[wildcards.family]),
        made=lambda wildcards: made_family(wildcards.family),
    script:
        "../scripts/collect_family.py"


def measured_datasets():
    """Returns the datasets on which a family was measured."""
    return [name for name in DATASETS if any(name in datasets for datasets in CELLS.values())]


@cache
def made_metrics():
    """Returns what decides the long table and what is joined beside it."""
    made = {"sweep": config["sweep"]}
    for dataset in measured_datasets():
        made |= DECIDING.floors(dataset)
    for family in CELLS:
        made |= made_family(family)
    return made


rule collect_metrics:
    """Joins the families into the one long table, and the floors into another; says which wanted revisions are missing."""
    input:
        families=collect("<study>/tables/families/{family}.parquet", family=CELLS),
        floors=collect("<study>/floors/{dataset}.parquet", dataset=measured_datasets()),
    output:
        metrics="<study>/tables/metrics.parquet",
        floors="<study>/tables/floors.parquet",
        completeness="<study>/tables/completeness.parquet",
    log:
        "logs/collect_metrics.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        wanted={name: {r.name: r.step for r in family.revisions} for name, family in FAMILIES.items()},
        datasets=DATASETS,
        made=lambda wildcards: made_metrics(),
    script:
        "../scripts/collect_metrics.py"


@cache
def made_statistics():
    """Returns what decides transitions and correlations."""
    own = {name: config[name] for name in ("statistics", "audit")} | {
        "recipes.CORRELATIONS": recipes.CORRELATIONS
    }
    return made_metrics() | made_audit() | own


rule correlate:
    """Estimates when W2SG sets in and saturates, and how well probe accuracy and evaluation loss predict its accuracy."""
    input:
        metrics="<study>/tables/metrics.parquet",
        audit="<study>/tables/audit.parquet",
    output:
        transitions="<study>/tables/transitions.parquet",
        correlations="<study>/tables/correlations.parquet",
    log:
        "logs/correlate.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        confidence=lookup(dpath="intervals/confidence", within=config),
        made=lambda wildcards: made_statistics(),
    script:
        "../scripts/correlate.py"


def banded_families():
    """Returns the families whose acceptance bands are known for the datasets swept."""
    judged = not PARTIAL and "newsgroups_tech" in DATASETS
    return [name for name in FAMILIES if judged and name in config.get("banded", [])]


@cache
def made_summary():
    """Returns what decides the summary."""
    return made_statistics() | {"banded": banded_families(), "recipes.SUMMARY": recipes.SUMMARY}


rule summarize_sweep:
    """Condenses the long table: first and last revisions, onset, and what predicts W2SG accuracy."""
    input:
        metrics="<study>/tables/metrics.parquet",
        floors="<study>/tables/floors.parquet",
        audit="<study>/tables/audit.parquet",
        completeness="<study>/tables/completeness.parquet",
        correlations="<study>/tables/correlations.parquet",
        transitions="<study>/tables/transitions.parquet",
    output:
        table="<study>/tables/summary.csv",
        text="<study>/tables/summary.txt",
        acceptance="<study>/tables/acceptance.csv",
        excluded="<study>/tables/excluded.csv",
        origin="<study>/tables/summary.json",
    log:
        "logs/summarize_sweep.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        banded=banded_families(),
        made=lambda wildcards: made_summary(),
    script:
        "../scripts/summarize_sweep.py"
