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
        confidence=lookup(dpath="statistics/confidence", within=config),
        # What captions say of the tables' intervals, and of those of fitted lines.
        coverage={
            "intervals": as_percent(config["metrics"]["confidence"]),
            "lines": as_percent(config["statistics"]["confidence"]),
        },
        recipe=recipes.FIGURES,
    script:
        "../scripts/plot_figures.py"


rule write_report:
    """Writes the self-contained report: the answer in words, interactive charts, tables, provenance."""
    input:
        metrics="results/tables/metrics.parquet",
        floors="results/tables/floors.parquet",
        audit="results/tables/audit.parquet",
        summary="results/tables/summary.csv",
        correlations="results/tables/correlations.parquet",
        transitions="results/tables/transitions.parquet",
        acceptance="results/tables/acceptance.csv",
        excluded="results/tables/excluded.csv",
        completeness="results/tables/completeness.parquet",
    output:
        report(
            ensure("results/report.html", non_empty=True),
            caption="../report/report.rst",
            category="Answer",
            labels={"table": "interactive report"},
        ),
    log:
        "logs/write_report.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        study=study_settings(),
        # Shown as they are at this moment: they neither start a job nor make the report stale.
        places={"benchmarks": "benchmarks/runs", "theory": "results/theory/acceptance.parquet"},
        recipe=recipes.REPORT,
    script:
        "../scripts/write_report.py"
