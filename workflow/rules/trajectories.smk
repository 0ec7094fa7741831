"""From many small tables to one, and from that to the answer. Seconds."""


localrules:
    choose_revisions,
    collect_family,
    collect_metrics,
    correlate,


rule choose_revisions:
    """Chooses the revisions of an adaptive family's next round from what was measured at those before; the next run measures them."""
    input:
        unpack(round_inputs),
    output:
        "<study>/selection/{family}/{round}.tsv",
    log:
        "logs/choose_revisions/{family}/{round}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        chosen=chosen_before,
        sweep=round_sweep,
        confidence=lookup(dpath="intervals/confidence", within=config),
        made=made_round,
    script:
        "../scripts/choose_revisions.py"


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
        family=lambda wildcards: joined_family(FAMILIES[wildcards.family]),
        made=lambda wildcards: made_family(wildcards.family),
    script:
        "../scripts/collect_family.py"


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


rule correlate:
    """Estimates when W2SG sets in and saturates, what predicts its accuracy, and which pairs the student corrects."""
    input:
        metrics="<study>/tables/metrics.parquet",
        audit="<study>/tables/audit.parquet",
        predictions=prediction_tables(),
    output:
        transitions="<study>/tables/transitions.parquet",
        correlations="<study>/tables/correlations.parquet",
        prediction="<study>/tables/prediction.parquet",
        agreement="<study>/tables/agreement.parquet",
    log:
        "logs/correlate.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        confidence=lookup(dpath="intervals/confidence", within=config),
        groups=GROUPS,
        made=lambda wildcards: made_statistics(),
    script:
        "../scripts/correlate.py"


rule summarize_sweep:
    """Concludes from the tables: levels, gain and controls, onset, and what predicts W2SG accuracy."""
    input:
        metrics="<study>/tables/metrics.parquet",
        floors="<study>/tables/floors.parquet",
        audit="<study>/tables/audit.parquet",
        completeness="<study>/tables/completeness.parquet",
        correlations="<study>/tables/correlations.parquet",
        transitions="<study>/tables/transitions.parquet",
        prediction="<study>/tables/prediction.parquet",
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
        groups=GROUPS,
        confidence=lookup(dpath="intervals/confidence", within=config),
        made=lambda wildcards: made_summary(),
    script:
        "../scripts/summarize_sweep.py"
