"""Whether every file of the study was made with this configuration: read from the files alone, without Snakemake's records. Seconds."""


localrules:
    verify,


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
