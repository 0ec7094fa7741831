"""Whether the study can be run: what is published of every revision, disk, rate limits, one text through one revision. A minute."""


localrules:
    check,


rule check:
    """Says what a run would stop at; downloads small files, and the weights of one small revision."""
    input:
        audits=audit_tables(),
        costs=local(ROOT / "resources" / "costs" / "models.tsv"),
        rates=local(ROOT / "resources" / "costs" / "rates.tsv"),
    log:
        "logs/check.log",
    conda:
        "../../envs/torch.yaml"
    params:
        models=lambda wildcards: checked_models(),
        study=lambda wildcards: planned_study(),
        recipe=recipes.PLAN,
    script:
        "../scripts/check_study.py"
