"""The workflow's own models: tokenizer and pre-training. Minutes."""


rule train_tokenizer:
    """Trains the byte-level BPE tokenizer on a corpus's training part, and encodes that part with it."""
    input:
        documents="resources/corpora/{corpus}.parquet",
    output:
        tokenizer="resources/tokenizers/{corpus}/{vocabulary}/tokenizer.json",
        tokens="resources/tokenizers/{corpus}/{vocabulary}/tokens.safetensors",
    log:
        "logs/train_tokenizer/{corpus}/{vocabulary}.log",
    conda:
        "../../envs/torch.yaml"
    threads: 2
    params:
        recipe=recipes.TOKENIZER,
    script:
        "../scripts/train_tokenizer.py"


rule pretrain_family:
    """Pre-trains one model of a family and publishes its revisions; continues where an earlier run stopped."""
    input:
        tokenizer=lambda wildcards: f"{tokenizer_folder(wildcards)}/tokenizer.json",
        tokens=lambda wildcards: f"{tokenizer_folder(wildcards)}/tokens.safetensors",
        datasets=unread_datasets,
    output:
        manifest="results/pretrained/{model}/manifest.tsv",
        origin="results/pretrained/{model}/origin.json",
    log:
        "logs/pretrain_family/{model}.log",
    benchmark:
        "benchmarks/runs/pretrain_family/{model}.tsv"
    priority: 50
    conda:
        "../../envs/torch.yaml"
    threads: 1  # fixed: sums have one order, and two trainings run side by side
    params:
        model=lookup(dpath="models/{model}", within=config),
        recipe=recipes.PRETRAINING,
    script:
        "../scripts/pretrain_family.py"
