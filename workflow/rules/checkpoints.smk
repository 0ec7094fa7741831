"""Models: the workflow's own pre-training, and the forward passes over every revision.

Cost: minutes for pre-training; per revision one model load and one forward pass over all datasets.
"""


localrules:
    fetch_revision,
    audit_revisions,
    collect_audit,


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


rule fetch_revision:
    """Split mode: fetches one Hub revision where there is a network; the extraction that follows deletes it."""
    input:
        # Only waited for: once a revision is here its extraction must be able to start, or nobody would free its place.
        ready=ancient(awaited_inputs),
    output:
        ticket=temp("results/snapshots/{model}/{revision}.json"),
    log:
        "logs/fetch_revision/{model}/{revision}.log",
    benchmark:
        "benchmarks/runs/fetch_revision/{model}/{revision}.tsv"
    conda:
        "../../envs/torch.yaml"
    # A fetch that waits for a place on the disk must not hold the core that the extraction needs.
    threads: 0
    resources:
        downloads=1,
    params:
        model=identity,
        recipe=recipes.FETCH,
    script:
        "../scripts/fetch_revision.py"


rule extract_activations:
    """Opens one revision and runs every text of every dataset through it once; also measures evaluation loss."""
    input:
        unpack(ticket),
        unpack(extraction_inputs),
        published=ancient(published),
    output:
        features=collect("results/activations/{{model}}/{{revision}}/{dataset}.safetensors", dataset=DATASETS),
        loss=ensure("results/activations/{model}/{revision}/loss.parquet", non_empty=True),
    log:
        "logs/extract_activations/{model}/{revision}.log",
    benchmark:
        "benchmarks/runs/extract_activations/{model}/{revision}.tsv"
    priority: 30 if SPLIT else 0
    conda:
        "../../envs/torch.yaml"
    threads: config["activations"]["threads"]
    resources:
        snapshots=downloads_itself,
    params:
        model=identity,
        # Neither settings of the machine nor a dataset's pool, which are read from the configuration: the former change
        # nothing, and the latter comes with the dataset's pairs, which are made again when it changes.
        activations=kept_settings,
        evaluation=lookup(dpath="evaluation", within=config),
        recipe=recipes.ACTIVATIONS,
    script:
        "../scripts/extract_activations.py"


rule audit_revisions:
    """Compares the published hashes of a Hub model's listed revisions; nothing but listings is fetched."""
    output:
        ensure("results/audit/{model}.parquet", non_empty=True),
    log:
        "logs/audit_revisions/{model}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        model=identity,
        revisions=listed_revisions,
        source=audit_source,
        kept=audit_answers,
        recipe=recipes.AUDIT,
    script:
        "../scripts/audit_revisions.py"


rule collect_audit:
    """Joins the audits of the study's models; revisions that are not on the Hub are compared by their own hashes."""
    input:
        audits=audit_tables(),
        losses=own_losses(),
    output:
        ensure("results/tables/audit.parquet", non_empty=True),
    log:
        "logs/collect_audit.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        revisions=own_revisions(),
        recipe=recipes.AUDIT,
    script:
        "../scripts/collect_audit.py"
