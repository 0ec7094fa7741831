"""Figures and the report. Seconds."""

@cache
def made_figures():
    """Returns what decides the figures."""
    own = {"statistics.confidence": config["statistics"]["confidence"], "recipes.FIGURES": recipes.FIGURES}
    return made_metrics() | made_audit() | {"audit": config["audit"]} | own


# One job for all: a process per figure spends more time on its start than on the figure.
rule plot_figures:
    """Draws every figure of one family on one dataset, and writes the plotted table beside each."""
    input:
        metrics="<study>/tables/metrics.parquet",
        floors="<study>/tables/floors.parquet",
        audit="<study>/tables/audit.parquet",
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
    log:
        "logs/plot_figures/{family}/{dataset}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        figures=list(FIGURES),
        # What captions say of the tables' intervals, and of those of fitted lines.
        coverage={
            "intervals": as_percent(config["intervals"]["confidence"]),
            "lines": as_percent(config["statistics"]["confidence"]),
        },
        made=lambda wildcards: made_figures(),
    script:
        "../scripts/plot_figures.py"


def measured_jobs():
    """Returns the benchmark files of the study's own jobs, by stage; those that are there are shown."""
    runs, used = "benchmarks/runs", [(model, name) for model, names in USED.items() for name in names]
    heads = [
        (f, one.name, d) for f, datasets in CELLS.items() for one in FAMILIES[f].revisions for d in datasets
    ]
    trained = [model for model in USED if config["models"][model]["source"] == "pretrain"]
    return {
        "pretrain_family": [f"{runs}/pretrain_family/{model}.tsv" for model in trained],
        "fetch_revision": [f"{runs}/fetch_revision/{model}/{name}.tsv" for model, name in used if SPLIT],
        "extract_activations": [f"{runs}/extract_activations/{model}/{name}.tsv" for model, name in used],
        "train_heads": [f"{runs}/train_heads/{config['study']}/{f}/{name}/{d}.tsv" for f, name, d in heads],
    }


def study_settings():
    """Returns what decides the report's numbers, section by section in the order of the configuration."""
    names = (
        "study",
        "sweep",
        "audit",
        "activations",
        "evaluation",
        "heads",
        "probe",
        "intervals",
        "statistics",
    )
    return {name: config[name] for name in names} | {"activations": forward_settings()}


@cache
def made_report():
    """Returns what decides the report."""
    return made_summary() | {"recipes.REPORT": recipes.REPORT}


rule write_report:
    """Writes the self-contained report: the answer in words, interactive charts, tables, provenance."""
    input:
        metrics="<study>/tables/metrics.parquet",
        floors="<study>/tables/floors.parquet",
        audit="<study>/tables/audit.parquet",
        summary="<study>/tables/summary.csv",
        correlations="<study>/tables/correlations.parquet",
        transitions="<study>/tables/transitions.parquet",
        acceptance="<study>/tables/acceptance.csv",
        excluded="<study>/tables/excluded.csv",
        completeness="<study>/tables/completeness.parquet",
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
        # Shown as they are at this moment: they neither start a job nor make the report stale.
        benchmarks=measured_jobs(),
        criteria=f"{STUDY}/theory/acceptance.parquet",
        made=lambda wildcards: made_report(),
    script:
        "../scripts/write_report.py"
