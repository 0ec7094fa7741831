"""Models: the workflow's own pre-training, and the forward passes over every revision.

Cost: minutes for pre-training; per revision one model load and one forward pass over all datasets.
"""


rule train_tokenizer:
    """Trains the byte-level BPE tokenizer on a corpus's training part, and encodes that part with it."""
    input:
        documents="resources/corpora/{corpus}.parquet",
    output:
        tokenizer=ensure("resources/tokenizers/{corpus}/{vocabulary}/tokenizer.json", non_empty=True),
        tokens=ensure("resources/tokenizers/{corpus}/{vocabulary}/tokens.safetensors", non_empty=True),
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
        unpack(pretraining_inputs),
        # The datasets are only waited for, never read: a broken one must stop the study before it costs minutes.
        checked=ancient("results/checked/pairs.txt"),
    output:
        manifest=ensure("results/pretrained/{model}/manifest.tsv", non_empty=True),
    log:
        "logs/pretrain_family/{model}.log",
    benchmark:
        "benchmarks/runs/pretrain_family/{model}.tsv"
    priority: 50
    conda:
        "../../envs/torch.yaml"
    threads: 2
    params:
        model=lookup(dpath="models/{model}", within=config),
        recipe=recipes.PRETRAINING,
    script:
        "../scripts/pretrain_family.py"


rule extract_activations:
    """Opens one revision and runs every text of every dataset through it once; also measures evaluation loss."""
    input:
        published=ancient(published),
        pairs=collect("resources/pairs/{dataset}.parquet", dataset=DATASETS),
        documents=f"resources/corpora/{config['evaluation']['corpus']}.parquet",
    output:
        features=collect("results/activations/{{model}}/{{revision}}/{dataset}.safetensors", dataset=DATASETS),
        loss=ensure("results/activations/{model}/{revision}/loss.parquet", non_empty=True),
    log:
        "logs/extract_activations/{model}/{revision}.log",
    benchmark:
        "benchmarks/runs/extract_activations/{model}/{revision}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["activations"]["threads"]
    resources:
        snapshots=1,
    params:
        model=identity,
        activations=lookup(dpath="activations", within=config),
        evaluation=lookup(dpath="evaluation", within=config),
        pools={dataset: config["datasets"][dataset].get("pool", "last") for dataset in DATASETS},
        scratch=config.get("scratch", "scratch"),
        recipe=recipes.ACTIVATIONS,
    script:
        "../scripts/extract_activations.py"
