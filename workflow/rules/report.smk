"""Figures and the report. Seconds."""


ruleorder: plot_groups > plot_figures


# One job for all: a process per figure spends more time on its start than on the figure.
rule plot_figures:
    """Draws every figure of one family on one dataset, and writes the plotted table beside each."""
    input:
        metrics="<study>/tables/metrics.parquet",
        floors="<study>/tables/floors.parquet",
        audit="<study>/tables/audit.parquet",
        summary="<study>/tables/summary.csv",
        origin="<study>/tables/summary.json",
    output:
        svg=[
            report(
                f"<study>/figures/{name}/{{family}}/{{dataset}}.svg",
                caption=f"../report/{name}.rst",
                category=figure.category,
                labels={"figure": figure.title, "family": "{family}", "dataset": "{dataset}"},
            )
            for name, figure in FIGURES.items()
        ],
        pdf=collect("<study>/figures/{figure}/{{family}}/{{dataset}}.pdf", figure=FIGURES),
        png=collect("<study>/figures/{figure}/{{family}}/{{dataset}}.png", figure=FIGURES),
        parquet=collect("<study>/figures/{figure}/{{family}}/{{dataset}}.parquet", figure=FIGURES),
        caption=collect("<study>/figures/{figure}/{{family}}/{{dataset}}.txt", figure=FIGURES),
    log:
        "logs/plot_figures/{family}/{dataset}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        figures=list(FIGURES),
        groups=GROUPS,
        coverage=as_percent(config["intervals"]["confidence"]),  # for captions
        made=lambda wildcards: made_figures(),
    script:
        "../scripts/plot_figures.py"


rule plot_groups:
    """Draws all pre-training seeds of a family on one dataset in one figure each, with their mean."""
    input:
        metrics="<study>/tables/metrics.parquet",
        floors="<study>/tables/floors.parquet",
        audit="<study>/tables/audit.parquet",
        summary="<study>/tables/summary.csv",
        origin="<study>/tables/summary.json",
    output:
        svg=[
            report(
                f"<study>/figures/{name}/{{family}}/{{dataset}}.svg",
                caption=f"../report/{name}.rst",
                category=FIGURES[name].category,
                labels={
                    "figure": FIGURES[name].title,
                    "family": "{family}, all seeds",
                    "dataset": "{dataset}",
                },
            )
            for name in GROUP_FIGURES
        ],
        pdf=collect("<study>/figures/{figure}/{{family}}/{{dataset}}.pdf", figure=GROUP_FIGURES),
        png=collect("<study>/figures/{figure}/{{family}}/{{dataset}}.png", figure=GROUP_FIGURES),
        parquet=collect("<study>/figures/{figure}/{{family}}/{{dataset}}.parquet", figure=GROUP_FIGURES),
        caption=collect("<study>/figures/{figure}/{{family}}/{{dataset}}.txt", figure=GROUP_FIGURES),
    log:
        "logs/plot_groups/{family}/{dataset}.log",
    wildcard_constraints:
        family="|".join(map(re.escape, GROUPS)) or "(?!)",
    conda:
        "../../envs/analysis.yaml"
    params:
        figures=list(GROUP_FIGURES),
        groups=GROUPS,
        coverage=as_percent(config["intervals"]["confidence"]),
        made=lambda wildcards: made_figures(),
    script:
        "../scripts/plot_figures.py"


rule write_report:
    """Writes the self-contained report: the answer in words, interactive charts, tables, provenance."""
    input:
        metrics="<study>/tables/metrics.parquet",
        floors="<study>/tables/floors.parquet",
        audit="<study>/tables/audit.parquet",
        summary="<study>/tables/summary.csv",
        correlations="<study>/tables/correlations.parquet",
        transitions="<study>/tables/transitions.parquet",
        agreement="<study>/tables/agreement.parquet",
        acceptance="<study>/tables/acceptance.csv",
        excluded="<study>/tables/excluded.csv",
        completeness="<study>/tables/completeness.parquet",
        readings="<study>/tables/readings.parquet",
        origin="<study>/tables/summary.json",
    output:
        report(
            "<study>/report.html",
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
        groups=GROUPS,
        # Shown as they are at this moment: they neither start a job nor make the report stale.
        benchmarks=lambda wildcards: measured_jobs(),
        criteria=f"{STUDY}/theory/acceptance.parquet",
        made=lambda wildcards: made_report(),
    script:
        "../scripts/write_report.py"
