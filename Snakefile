"""How does pre-training make weak-to-strong generalization possible? Table of contents of the workflow."""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.20")


configfile: Path(workflow.basedir) / "config" / "datasets.yaml"
configfile: Path(workflow.basedir) / "config" / "models.yaml"
configfile: Path(workflow.basedir) / "config" / "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/plan.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/checkpoints.smk"
include: "workflow/rules/heads.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/theory.smk"


localrules:
    all,


rule all:
    """Sweep, tables, figures and report of the study; every table per revision is a target of its own."""
    default_target: True
    input:
        sweep_tables(),
        "results/tables/metrics.parquet",
        "results/tables/summary.csv",
        "results/tables/completeness.parquet",
        cells("results/figures/trajectory/{family}/{dataset}.svg"),
        "results/report.html",
