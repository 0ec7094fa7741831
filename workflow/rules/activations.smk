"""Forward passes over every revision: one model load and one pass over all datasets each."""


localrules:
    collect_readings,


rule extract_activations:
    """Opens one revision and runs every text of every dataset through it once; also measures evaluation loss."""
    input:
        unpack(extraction_inputs),
        ticket=extraction_ticket,
        published=published,
    output:
        features=collect("results/activations/{{model}}/{{revision}}/{dataset}.safetensors", dataset=DATASETS),
        loss="results/activations/{model}/{revision}/loss.parquet",
    log:
        "logs/extract_activations/{model}/{revision}.log",
    benchmark:
        "benchmarks/runs/extract_activations/{model}/{revision}.tsv"
    priority: 30 if FETCHED else 0
    conda:
        "../../envs/torch.yaml"
    threads: config["activations"]["threads"]
    resources:
        snapshots=places_taken,
    params:
        model=identity,
        # Neither settings of the machine nor a dataset's pool and template, which are read from the configuration: the former
        # change nothing, and the latter come with the dataset's pairs, which are made again when they change.
        activations=kept_settings,
        evaluation=lookup(dpath="evaluation", within=config),
        content=local_revision,
        recipe=recipes.ACTIVATIONS,
    script:
        "../scripts/extract_activations.py"


rule collect_readings:
    """Shows what models read of each dataset: an example with its token ids, what was cut, and who read otherwise."""
    input:
        losses=read_losses(),
    output:
        "<study>/tables/readings.parquet",
    log:
        "logs/collect_readings.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        datasets=DATASETS,
        made=lambda wildcards: made_readings(),
    script:
        "../scripts/collect_readings.py"
