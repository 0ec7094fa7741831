"""Figures and the report. Seconds."""


# One job for all: a process per figure spends more time on its start than on the figure.
rule plot_figures:
    """Draws every figure of one family on one dataset, and writes the plotted table beside each."""
    input:
        metrics="results/tables/metrics.parquet",
        floors="results/tables/floors.parquet",
        audit="results/tables/audit.parquet",
    output:
        svg=[
            report(
                f"results/figures/{name}/{{family}}/{{dataset}}.svg",
                caption=f"../report/{name}.rst",
                category=figure.category,
                labels={"figure": figure.title, "family": "{family}", "dataset": "{dataset}"},
            )
            for name, figure in FIGURES.items()
        ],
        pdf=collect("results/figures/{figure}/{{family}}/{{dataset}}.pdf", figure=FIGURES),
        png=collect("results/figures/{figure}/{{family}}/{{dataset}}.png", figure=FIGURES),
        parquet=collect("results/figures/{figure}/{{family}}/{{dataset}}.parquet", figure=FIGURES),
    log:
        "logs/plot_figures/{family}/{dataset}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        figures=list(FIGURES),
        exclude=lookup(dpath="audit/exclude", within=config),
        recipe=recipes.FIGURES,
    script:
        "../scripts/plot_figures.py"


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
