"""The synthetic branch: experiments, acceptance, figures. No torch, no checkpoint; a minute and a half on two cores."""


localrules:
    theory,


rule theory:
    """Builds every table and figure of the synthetic branch, prints how many criteria hold; fails if one fails."""
    input:
        report="<study>/theory/report.html",
        verdict="<study>/theory/verdict.txt",
    log:
        "logs/theory.log",
    conda:
        "../../envs/analysis.yaml"
    shell:
        "cat {input.verdict}; echo 'report: {input.report}'"


rule simulate_experiment:
    """Runs one experiment, all seeds and settings inside; its table does not depend on the number of threads."""
    output:
        "<study>/theory/experiments/{experiment}.parquet",
    log:
        "logs/simulate_experiment/{experiment}.log",
    benchmark:
        "benchmarks/runs/simulate_experiment/<study_name>/{experiment}.tsv"
    wildcard_constraints:
        experiment="(?!phase_|landscape|region)[a-z_]+",
    priority: 50
    conda:
        "../../envs/analysis.yaml"
    threads: cores_of
    params:
        seeds=lookup(dpath="theory/seeds", within=config),
        seed=lookup(dpath="theory/seed", within=config),
        settings=lambda wildcards: describe_experiment(wildcards.experiment),
        recipe=recipes.THEORY,
    script:
        "../scripts/simulate_experiment.py"


# These need no compiled kernel: they fill a core while the first phase diagram compiles the kernels for all that follow.
use rule simulate_experiment as simulate_landscape with:
    wildcard_constraints:
        experiment="landscape|region",
    priority: 70


use rule simulate_experiment as simulate_phase with:
    wildcard_constraints:
        experiment="phase_(?!lam_kappa)[a-z_]+",
    priority: 60
    params:
        seeds=lookup(dpath="theory/phase/seeds", within=config),
        seed=lookup(dpath="theory/seed", within=config),
        phase=lookup(dpath="theory/phase", within=config),
        settings=lambda wildcards: describe_experiment(wildcards.experiment),
        recipe=recipes.THEORY,


use rule simulate_phase as simulate_first_phase with:
    wildcard_constraints:
        experiment="phase_lam_kappa",
    priority: 80


rule judge_theory:
    """Evaluates every acceptance criterion on the experiments' tables, and the worked radii."""
    input:
        collect("<study>/theory/experiments/{experiment}.parquet", experiment=EXPERIMENTS),
    output:
        acceptance="<study>/theory/acceptance.parquet",
        csv=report(
            "<study>/theory/acceptance.csv", caption="../report/theory_acceptance.rst", category="Theory"
        ),
        radii="<study>/theory/worked_radii.parquet",
    log:
        "logs/judge_theory.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        experiments=list(EXPERIMENTS),
        made=lambda wildcards: made_theory(),
    script:
        "../scripts/judge_theory.py"


rule check_theory:
    """Writes how many criteria of each kind hold; ends in an error that lists those which fail, if any."""
    input:
        acceptance="<study>/theory/acceptance.parquet",
    output:
        "<study>/theory/verdict.txt",
    log:
        "logs/check_theory.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        recipe=recipes.THEORY,
    script:
        "../scripts/check_theory.py"


# One job for all: a process per figure spends more time on its start than on the figure.
rule plot_theory:
    """Draws every figure of the synthetic branch and writes the plotted tables."""
    input:
        experiments=collect("<study>/theory/experiments/{experiment}.parquet", experiment=EXPERIMENTS),
    output:
        report(
            directory("<study>/theory/figures"),
            patterns=["{figure}.svg"],
            caption="../report/theory_figure.rst",
            category="Theory",
            labels={"figure": "{figure}"},
        ),
    log:
        "logs/plot_theory.log",
    conda:
        "../../envs/analysis.yaml"
    threads: all_cores
    params:
        experiments=list(EXPERIMENTS),
        captions={name: caption_of(name, config["theory"]) for name in THEORY_FIGURES},
        titles={name: figure.title for name, figure in THEORY_FIGURES.items()},
        made=lambda wildcards: made_theory(),
    script:
        "../scripts/plot_theory.py"


rule write_theory_report:
    """Writes the self-contained theory report: results and figures, worked radii, all criteria."""
    input:
        acceptance="<study>/theory/acceptance.parquet",
        radii="<study>/theory/worked_radii.parquet",
        figures="<study>/theory/figures",
    output:
        "<study>/theory/report.html",
    log:
        "logs/write_theory_report.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=lookup(dpath="theory", within=config),
        made=lambda wildcards: made_theory(),
    script:
        "../scripts/write_theory_report.py"
