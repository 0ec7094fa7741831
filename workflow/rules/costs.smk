"""What the study will cost: `snakemake --cores 1 plan --configfile config/paper.yaml`. Seconds, no network."""


localrules:
    plan,
    plan_study,


rule plan:
    """Shows revisions, jobs, download, disk, hours and bottleneck of the study; runs nothing else."""
    input:
        "<study>/plan.txt",
    log:
        "logs/plan.log",
    conda:
        "../../envs/analysis.yaml"
    shell:
        "cat {input}"


rule plan_study:
    """Computes the study's costs from its configuration, audits that are there already, and committed rates."""
    input:
        costs=local(ROOT / "resources" / "costs" / "models.tsv"),
        rates=local(ROOT / "resources" / "costs" / "rates.tsv"),
    output:
        table="<study>/plan.tsv",
        text="<study>/plan.txt",
    log:
        "logs/plan_study.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        study=lambda wildcards: planned_study(),
        benchmarks=measured_jobs(),
        audits=[path for path in audit_tables() if Path(path).exists()],
        recipe=recipes.PLAN,
    script:
        "../scripts/plan_study.py"
