"""Forward passes over every revision: one model load and one pass over all datasets each."""


def published(wildcards):
    """Returns the revision list that a model's own pre-training publishes, and its origin; nothing for the others."""
    folder = f"results/pretrained/{wildcards.model}"
    trained = config["models"][wildcards.model]["source"] == "pretrain"
    return [f"{folder}/manifest.tsv", f"{folder}/origin.json"] if trained else []


def ticket(wildcards):
    """Returns the ticket of a Hub revision that another job fetches (split mode); nothing otherwise."""
    if SPLIT and wildcards.model in HUB_MODELS:
        return f"results/snapshots/{wildcards.model}/{wildcards.revision}.json"
    return []


def extraction_inputs(wildcards):
    """Returns what every extraction of the study reads besides the revision."""
    pairs = [f"resources/pairs/{dataset}.parquet" for dataset in DATASETS]
    return {"pairs": pairs, "documents": f"resources/corpora/{config['evaluation']['corpus']}.parquet"}


def kept_settings(wildcards):
    """Returns the settings that decide a revision's numbers: one that only supervises keeps its final layer."""
    settings = forward_settings()
    layers = families.kept_layers(settings["layers"], FAMILIES, wildcards.model, wildcards.revision)
    return settings | {"layers": layers}


def mark(path):
    """Returns what tells a user's file from another one: its hash; of weights, too large to read at each start, size and date."""
    facts = path.stat()
    return file_sha256(path) if facts.st_size <= 2**20 else f"{facts.st_size} bytes of {facts.st_mtime_ns}"


def local_revision(wildcards):
    """Returns the marks of all files of a revision that lies in a folder of the user's."""
    entry = config["models"][wildcards.model]
    if entry["source"] != "local":
        return []
    folder = Path(entry["path"]) / wildcards.revision
    return [f"{path.name}: {mark(path)}" for path in sorted(folder.iterdir()) if path.is_file()]


def places_taken(wildcards):
    """Returns what an extraction takes of the scratch disk: a place from its start if it downloads itself."""
    return share_of(config["fetch"]["snapshots"]) if not SPLIT and wildcards.model in HUB_MODELS else 0


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
