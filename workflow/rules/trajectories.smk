"""From many small tables to one, and from that to the answer. Seconds."""


localrules:
    collect_family,
    collect_metrics,
    correlate,
    estimate_transition,
    check_completeness,


def family_tables(wildcards):
    """Returns the tables of one family: heads and losses per revision, and its supervisor's."""
    family = FAMILIES[wildcards.family]
    weak = f"{STUDY}/weak_metrics/{family.weak}/{family.weak_revision}"
    return {
        "heads": [path for dataset in DATASETS for path in head_tables(family.name, dataset)],
        "losses": present(loss_table(family.strong, one.name) for one in family.revisions),
        "weak": present(f"{weak}/{dataset}.parquet" for dataset in DATASETS),
    }


def family_inputs(wildcards):
    """Returns the names of a family's tables: as a parameter they make the joined one anew when one is no longer wanted.

    Parameters made from ``input`` would not: Snakemake leaves those out when it looks for changes.
    """
    return sorted(path for paths in family_tables(wildcards).values() for path in paths)


rule collect_family:
    """Joins the tables of one family, with step and tokens of each revision."""
    input:
        unpack(family_tables),
    output:
        "<study>/tables/families/{family}.parquet",
    log:
        "logs/collect_family/{family}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        family=lambda wildcards: asdict(FAMILIES[wildcards.family]),
        inputs=family_inputs,
        recipe=recipes.COLLECT,
    script:
        "../scripts/collect_family.py"


rule collect_metrics:
    """Joins the families into the one long table, and the datasets' floors into another."""
    input:
        families=collect("<study>/tables/families/{family}.parquet", family=CELLS),
        floors=[
            f"<study>/floors/{name}.parquet" for name in DATASETS if any(name in d for d in CELLS.values())
        ],
    output:
        metrics="<study>/tables/metrics.parquet",
        floors="<study>/tables/floors.parquet",
    log:
        "logs/collect_metrics.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        inputs=CELLS,
        recipe=recipes.COLLECT,
    script:
        "../scripts/collect_metrics.py"


rule estimate_transition:
    """Estimates when W2SG sets in, how fast it rises, and where it saturates."""
    input:
        metrics="<study>/tables/metrics.parquet",
        audit="<study>/tables/audit.parquet",
    output:
        "<study>/tables/transitions.parquet",
    log:
        "logs/estimate_transition.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        exclude=lookup(dpath="audit/exclude", within=config),
        confidence=lookup(dpath="intervals/confidence", within=config),
        statistics=lookup(dpath="statistics", within=config),
        recipe=recipes.TRANSITIONS,
    script:
        "../scripts/estimate_transition.py"


rule correlate:
    """Asks how well probe accuracy and evaluation loss foretell W2SG accuracy."""
    input:
        metrics="<study>/tables/metrics.parquet",
        audit="<study>/tables/audit.parquet",
        transitions="<study>/tables/transitions.parquet",
    output:
        "<study>/tables/correlations.parquet",
    log:
        "logs/correlate.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        exclude=lookup(dpath="audit/exclude", within=config),
        confidence=lookup(dpath="intervals/confidence", within=config),
        statistics=lookup(dpath="statistics", within=config),
        recipe=recipes.CORRELATIONS,
    script:
        "../scripts/correlate.py"


rule check_completeness:
    """Compares what the study wants with what was measured: which revisions are missing on which dataset."""
    input:
        "<study>/tables/metrics.parquet",
    output:
        "<study>/tables/completeness.parquet",
    log:
        "logs/check_completeness.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        wanted={name: {r.name: r.step for r in family.revisions} for name, family in FAMILIES.items()},
        datasets=DATASETS,
        recipe=recipes.COMPLETENESS,
    script:
        "../scripts/check_completeness.py"


def banded_families():
    """Returns the families whose acceptance bands are known for the datasets swept."""
    judged = not PARTIAL and "newsgroups_tech" in DATASETS
    return [name for name in FAMILIES if judged and name in config.get("banded", [])]


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
    log:
        "logs/summarize_sweep.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        banded=banded_families(),
        exclude=lookup(dpath="audit/exclude", within=config),
        recipe=recipes.SUMMARY,
    script:
        "../scripts/summarize_sweep.py"
