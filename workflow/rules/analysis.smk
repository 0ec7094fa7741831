"""From many small tables to one, and from that to the answer. Seconds."""


localrules:
    collect_family,
    collect_metrics,
    correlate,
    estimate_transition,
    check_completeness,


rule collect_family:
    """Joins the tables of one family, with step and tokens of each revision."""
    input:
        unpack(family_tables),
    output:
        ensure("results/tables/families/{family}.parquet", non_empty=True),
    log:
        "logs/collect_family/{family}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        family=lambda wildcards: asdict(FAMILIES[wildcards.family]),
        recipe=recipes.COLLECT,
    script:
        "../scripts/collect_family.py"


rule collect_metrics:
    """Joins the families into the one long table, and the datasets' floors into another."""
    input:
        families=collect("results/tables/families/{family}.parquet", family=CELLS),
        floors=[
            f"results/floors/{name}.parquet" for name in DATASETS if any(name in d for d in CELLS.values())
        ],
    output:
        metrics=ensure("results/tables/metrics.parquet", non_empty=True),
        floors=ensure("results/tables/floors.parquet", non_empty=True),
    log:
        "logs/collect_metrics.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        recipe=recipes.COLLECT,
    script:
        "../scripts/collect_metrics.py"


rule estimate_transition:
    """Estimates when W2SG sets in, how fast it rises, and where it saturates."""
    input:
        metrics="results/tables/metrics.parquet",
        audit="results/tables/audit.parquet",
    output:
        ensure("results/tables/transitions.parquet", non_empty=True),
    log:
        "logs/estimate_transition.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        exclude=lookup(dpath="audit/exclude", within=config),
        confidence=lookup(dpath="metrics/confidence", within=config),
        statistics=lookup(dpath="statistics", within=config),
        recipe=recipes.TRANSITIONS,
    script:
        "../scripts/estimate_transition.py"


rule correlate:
    """Asks how well probe accuracy and evaluation loss foretell W2SG accuracy."""
    input:
        metrics="results/tables/metrics.parquet",
        audit="results/tables/audit.parquet",
        transitions="results/tables/transitions.parquet",
    output:
        ensure("results/tables/correlations.parquet", non_empty=True),
    log:
        "logs/correlate.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        exclude=lookup(dpath="audit/exclude", within=config),
        confidence=lookup(dpath="metrics/confidence", within=config),
        statistics=lookup(dpath="statistics", within=config),
        recipe=recipes.CORRELATIONS,
    script:
        "../scripts/correlate.py"


rule check_completeness:
    """Compares what the study wants with what was measured: which revisions are missing on which dataset."""
    input:
        "results/tables/metrics.parquet",
    output:
        ensure("results/tables/completeness.parquet", non_empty=True),
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


rule summarize_sweep:
    """Condenses the long table: first and last revisions, onset, and what predicts W2SG accuracy."""
    input:
        metrics="results/tables/metrics.parquet",
        floors="results/tables/floors.parquet",
        audit="results/tables/audit.parquet",
        completeness="results/tables/completeness.parquet",
        correlations="results/tables/correlations.parquet",
        transitions="results/tables/transitions.parquet",
    output:
        table=ensure("results/tables/summary.csv", non_empty=True),
        text=ensure("results/tables/summary.txt", non_empty=True),
        acceptance="results/tables/acceptance.csv",
        excluded="results/tables/excluded.csv",
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
