"""What rules read and what decides their results, by wildcards and configuration. No cost."""


def published(wildcards):
    """Returns the revision list that a model's own pre-training publishes; nothing for the others."""
    if config["models"][wildcards.model]["source"] == "pretrain":
        return f"results/pretrained/{wildcards.model}/manifest.tsv"
    return []


def ticket(wildcards):
    """Returns the ticket of a Hub revision that another job fetches (split mode); nothing otherwise."""
    if SPLIT and wildcards.model in HUB_MODELS:
        return {"ticket": f"results/snapshots/{wildcards.model}/{wildcards.revision}.json"}
    return {}


def downloads_itself(wildcards):
    """Returns 1 for an extraction that holds a place on the scratch disk from its start, else 0."""
    return int(not SPLIT and wildcards.model in HUB_MODELS)


def extraction_inputs(wildcards):
    """Returns what every extraction of the study reads besides the revision."""
    pairs = [f"resources/pairs/{dataset}.parquet" for dataset in DATASETS]
    return {"pairs": pairs, "documents": f"resources/corpora/{config['evaluation']['corpus']}.parquet"}


def forward_settings():
    """Returns the part of section ``activations`` that decides the numbers: how a machine is best used does not."""
    machine = ("batch_tokens", "device", "threads")
    # Sorted: Snakemake takes another order for another value, and the order is that of the user's file.
    return {
        name: config["activations"][name] for name in sorted(config["activations"]) if name not in machine
    }


def kept_settings(wildcards):
    """Returns the same for a revision: one that only supervises keeps its final layer."""
    settings = forward_settings()
    layers = families.kept_layers(settings["layers"], FAMILIES, wildcards.model, wildcards.revision)
    return settings | {"layers": layers}


def awaited_inputs(wildcards):
    """Returns the inputs of an extraction as a list, for the fetch that only waits for them."""
    inputs = extraction_inputs(wildcards)
    return [*inputs["pairs"], inputs["documents"]]


def listed_revisions(wildcards):
    """Returns the names of all published revisions of a model, by step, and of those that are used besides."""
    listed = revision_lists.revisions_of(wildcards.model, config["models"][wildcards.model], ROOT)
    names = [revision.name for revision in sorted(listed, key=lambda revision: revision.step)]
    return list(dict.fromkeys([*names, *USED.get(wildcards.model, [])]))


def audit_tables():
    """Returns the audits of the study's Hub models."""
    return present(f"results/audit/{name}.parquet" for name in HUB_MODELS)


def audit_answers(wildcards):
    """Returns the file that keeps what audits of a model learned; no output, or Snakemake would delete it before each."""
    return f"results/audit/{wildcards.model}.json"


def audit_source(wildcards):
    """Returns what an audit of a model rests on now: the Hub, or what the local cache holds."""
    repo = config["models"][wildcards.model]["repo"]
    return offline.source_of(repo, listed_revisions(wildcards), Path(audit_answers(wildcards)))


def loss_table(model, revision):
    """Returns the table of one revision's evaluation loss."""
    return f"results/activations/{model}/{revision}/loss.parquet"


def own_revisions():
    """Returns the used revisions of each model that is not on the Hub."""
    return {
        model: [name for name in names if present([loss_table(model, name)])]
        for model, names in USED.items()
        if model not in HUB_MODELS
    }


def own_losses():
    """Returns the loss tables of the models that are not on the Hub: their commits are the weights' hashes."""
    return [loss_table(model, name) for model, names in own_revisions().items() for name in names]


def identity(wildcards):
    """Returns the part of a model's entry that decides its numbers: how often revisions are saved, and tokens of a step, do not."""
    entry = dict(config["models"][wildcards.model])
    if entry["source"] == "pretrain":
        entry["pretraining"] = {k: v for k, v in entry["pretraining"].items() if k != "save_every"}
    for key in ("revisions", "tokens_per_step"):
        entry.pop(key, None)
    return entry


def pair_inputs(wildcards):
    """Returns what a dataset is built from: its corpus, or its local files."""
    spec = config["datasets"][wildcards.dataset]
    named = {"documents": f"resources/corpora/{spec['corpus']}.parquet"} if "corpus" in spec else {}
    # Files of the user's own lie where Snakemake runs, also where all other files live in a bucket.
    return named | {"files": [local(path) for path in required_inputs(spec)]}


def pretraining_inputs(wildcards):
    """Returns the tokenizer and the token stream of a model that is trained here."""
    model = config["models"][wildcards.model]
    corpus, size = model["corpus"], model["pretraining"]["vocabulary_size"]
    return {
        "tokenizer": f"resources/tokenizers/{corpus}/{size}/tokenizer.json",
        "tokens": f"resources/tokenizers/{corpus}/{size}/tokens.safetensors",
    }


def head_inputs(wildcards):
    """Returns a revision's features and the labels of its family's weak supervisor."""
    family = FAMILIES[wildcards.family]
    strong = f"{family.strong}/{wildcards.revision}/{wildcards.dataset}"
    weak = f"{family.weak}/{family.weak_revision}/{wildcards.dataset}"
    return {
        "features": f"results/activations/{strong}.safetensors",
        "labels": f"results/weak_labels/{weak}.parquet",
        "pairs": f"resources/pairs/{wildcards.dataset}.parquet",
    }


def family_tables(wildcards):
    """Returns the tables of one family: heads and losses per revision, and its supervisor's."""
    family = FAMILIES[wildcards.family]
    names = revision_names(family.name)
    weak = f"results/weak_metrics/{family.weak}/{family.weak_revision}"
    return {
        "heads": [path for dataset in DATASETS for path in head_tables(family.name, dataset)],
        "losses": present(loss_table(family.strong, name) for name in names),
        "weak": present(f"{weak}/{dataset}.parquet" for dataset in DATASETS),
    }


def banded_families():
    """Returns the families whose acceptance bands are known for the datasets swept."""
    judged = not PARTIAL and "newsgroups_tech" in DATASETS
    return [name for name in FAMILIES if judged and name in config.get("banded", [])]


def study_settings():
    """Returns what decides the report's numbers, section by section in the order of the configuration."""
    names = (
        "study",
        "sweep",
        "audit",
        "activations",
        "evaluation",
        "heads",
        "probe",
        "metrics",
        "statistics",
    )
    return {name: config[name] for name in names} | {"activations": forward_settings()}
