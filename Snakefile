"""How does pre-training make weak-to-strong generalization possible? Table of contents of the workflow."""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.20")


ROOT = Path(workflow.current_basedir)


configfile: ROOT / "config" / "datasets.yaml"
configfile: ROOT / "config" / "models.yaml"
configfile: ROOT / "config" / "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/pretraining.smk"
include: "workflow/rules/revisions.smk"
include: "workflow/rules/activations.smk"
include: "workflow/rules/heads.smk"
include: "workflow/rules/students.smk"
include: "workflow/rules/trajectories.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/theory.smk"
include: "workflow/rules/costs.smk"
include: "workflow/rules/verify.smk"


localrules:
    all,
    show,


rule all:
    """Sweep, tables, figures and report of the study; every table per revision is a target of its own."""
    default_target: True
    input:
        # So that a lost one is noticed although its aggregate still exists.
        [
            path
            for family, datasets in CELLS.items()
            for d in datasets
            for kind in ("metrics", "predictions", *STUDENT_METRICS, *STUDENT_MARGINS)
            for path in head_tables(family, d, kind)
        ],
        "<study>/tables/metrics.parquet",
        "<study>/tables/summary.csv",
        "<study>/tables/completeness.parquet",
        cells("<study>/figures/trajectory/{family}/{dataset}.svg"),
        group_cells("<study>/figures/trajectory/{family}/{dataset}.svg"),
        "<study>/report.html",


rule show:
    """Makes all of it, then prints the summary."""
    input:
        rules.all.input,
        text="<study>/tables/summary.txt",
        report="<study>/report.html",
    log:
        "logs/show.log",
    conda:
        "envs/analysis.yaml"
    shell:
        "cat {input.text}; echo 'report: {input.report}'"
