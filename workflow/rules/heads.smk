"""Heads on frozen activations: the weak supervisor, then probe, ceiling and W2SG of each revision.

Seconds each in the embedded study, a minute or two for all layers of a 7B model (benchmarks/results/heads.tsv).
With ``--set-threads train_heads=2`` or more, layers are worked on together; no result depends on it.
"""


rule train_supervisor:
    """Trains the weak supervisor's head on true labels; writes its soft labels and its own metrics."""
    input:
        unpack(lambda wildcards: transfer_inputs(wildcards.model, wildcards)),
        features="results/activations/{model}/{revision}/{dataset}.safetensors",
        pairs="resources/pairs/{dataset}.parquet",
    output:
        labels="<study>/weak_labels/{model}/{revision}/{dataset}.parquet",
        metrics="<study>/weak_metrics/{model}/{revision}/{dataset}.parquet",
    log:
        "logs/train_supervisor/{model}/{revision}/{dataset}.log",
    priority: 20
    conda:
        "../../envs/torch.yaml"
    params:
        heads=lookup(dpath="heads", within=config),
        intervals=lookup(dpath="intervals", within=config),
        others=lambda wildcards: other_datasets(wildcards.dataset),
        recipe=recipes.SUPERVISOR,
    script:
        "../scripts/train_supervisor.py"


use rule train_supervisor as train_chain with:
    input:
        unpack(chain_inputs),
        pairs="resources/pairs/{dataset}.parquet",
    output:
        labels="<study>/chain_labels/{supervisor}/{revision}/{dataset}.parquet",
        metrics="<study>/chain_metrics/{supervisor}/{revision}/{dataset}.parquet",
    log:
        "logs/train_chain/{supervisor}/{revision}/{dataset}.log",
    params:
        own=lambda wildcards: named_supervisor(wildcards).own.facts,


rule join_supervisors:
    """Joins the labels of several supervisors to their mean; writes it and its metrics."""
    input:
        labels=joined_labels,
        pairs="resources/pairs/{dataset}.parquet",
    output:
        labels="<study>/mean_labels/{supervisor}/{revision}/{dataset}.parquet",
        metrics="<study>/mean_metrics/{supervisor}/{revision}/{dataset}.parquet",
    log:
        "logs/join_supervisors/{supervisor}/{revision}/{dataset}.log",
    priority: 20
    conda:
        "../../envs/torch.yaml"
    params:
        heads=lookup(dpath="heads", within=config),
        intervals=lookup(dpath="intervals", within=config),
        entry=lambda wildcards: DECIDING.supervisor_settings(wildcards.supervisor, wildcards.dataset),
        recipe=recipes.SUPERVISOR,
    script:
        "../scripts/join_supervisors.py"


use rule join_supervisors as read_labels with:
    input:
        file=label_file,
        pairs="resources/pairs/{dataset}.parquet",
    output:
        labels="<study>/given_labels/{supervisor}/{revision}/{dataset}.parquet",
        metrics="<study>/given_metrics/{supervisor}/{revision}/{dataset}.parquet",
    log:
        "logs/read_labels/{supervisor}/{revision}/{dataset}.log",


rule train_heads:
    """Fits the probe, trains the ceiling on true and the W2SG head on weak labels: all layers, seeds and rates; and controls."""
    input:
        unpack(head_inputs),
    output:
        metrics="<study>/metrics/{family}/{revision}/{dataset}.parquet",
        predictions="<study>/predictions/{family}/{revision}/{dataset}.parquet",
    log:
        "logs/train_heads/{family}/{revision}/{dataset}.log",
    benchmark:
        "benchmarks/runs/train_heads/<study_name>/{family}/{revision}/{dataset}.tsv"
    priority: 10
    conda:
        "../../envs/torch.yaml"
    params:
        model=lambda wildcards: FAMILIES[wildcards.family].strong,
        heads=lookup(dpath="heads", within=config),
        probe=lookup(dpath="probe", within=config),
        intervals=lookup(dpath="intervals", within=config),
        others=lambda wildcards: other_datasets(wildcards.dataset),
        recipe=recipes.HEADS,
    script:
        "../scripts/train_heads.py"
