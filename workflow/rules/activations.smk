"""Forward passes over every revision: one model load and one pass over all datasets each."""


rule extract_activations:
    """Opens one revision and runs every text of every dataset through it once; also measures evaluation loss."""
    input:
        unpack(extraction_inputs),
        ticket=ticket,
        published=published,
    output:
        features=collect("results/activations/{{model}}/{{revision}}/{dataset}.safetensors", dataset=DATASETS),
        loss="results/activations/{model}/{revision}/loss.parquet",
    log:
        "logs/extract_activations/{model}/{revision}.log",
    benchmark:
        "benchmarks/runs/extract_activations/{model}/{revision}.tsv"
    priority: 30 if SPLIT else 0
    conda:
        "../../envs/torch.yaml"
    threads: config["activations"]["threads"]
    resources:
        snapshots=places_taken,
    params:
        model=identity,
        # Neither settings of the machine nor a dataset's pool, which are read from the configuration: the former change
        # nothing, and the latter comes with the dataset's pairs, which are made again when it changes.
        activations=kept_settings,
        evaluation=lookup(dpath="evaluation", within=config),
        content=local_revision,
        recipe=recipes.ACTIVATIONS,
    script:
        "../scripts/extract_activations.py"
