"""Figures and the report. Seconds."""


rule plot_trajectory:
    """Draws W2SG, ceiling, supervisor, probe and evaluation loss against pre-training, with intervals."""
    input:
        metrics="results/tables/metrics.parquet",
        floors="results/tables/floors.parquet",
    output:
        svg=report(
            "results/figures/trajectory/{family}/{dataset}.svg",
            caption="../report/trajectory.rst",
            category="Trajectories",
            labels={"family": "{family}", "dataset": "{dataset}"},
        ),
        png="results/figures/trajectory/{family}/{dataset}.png",
        table="results/figures/trajectory/{family}/{dataset}.parquet",
    log:
        "logs/plot_trajectory/{family}/{dataset}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        recipe=recipes.FIGURES,
    script:
        "../scripts/plot_trajectory.py"


rule write_report:
    """Writes the self-contained report: the answer in words, the summary table, the figures."""
    input:
        summary="results/tables/summary.csv",
        acceptance="results/tables/acceptance.csv",
        excluded="results/tables/excluded.csv",
        figures=collect(
            "results/figures/trajectory/{family}/{dataset}.svg", family=FAMILIES, dataset=DATASETS
        ),
    output:
        ensure("results/report.html", non_empty=True),
    log:
        "logs/write_report.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        study=study_settings(),
        recipe=recipes.REPORT,
    script:
        "../scripts/write_report.py"
