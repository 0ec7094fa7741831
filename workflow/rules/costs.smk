"""What the study will cost: `snakemake --cores 1 plan --configfile config/paper.yaml`. Seconds, no network."""


localrules:
    plan,


rule plan:
    """Shows revisions, jobs, download, disk, hours and bottleneck of the study, as this machine and earlier runs have it now."""
    input:
        costs=local(ROOT / "resources" / "costs" / "models.tsv"),
        rates=local(ROOT / "resources" / "costs" / "rates.tsv"),
    log:
        "logs/plan.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        study=lambda wildcards: planned_study(),
        benchmarks=lambda wildcards: planned_jobs(),
        audits=lambda wildcards: [path for path in audit_tables() if Path(path).exists()],
        table=f"{STUDY}/plan.tsv",
        recipe=recipes.PLAN,
    script:
        "../scripts/plan_study.py"
