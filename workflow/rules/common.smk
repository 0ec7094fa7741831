"""Configuration, families, wildcard constraints and the few helpers that rules share. No cost."""

from dataclasses import asdict

from snakemake.dag import DAG
from snakemake.exceptions import WorkflowError

from w2sg import cluster, config as study, planning, recipes, runs, snapshots, sweep
from w2sg.figures import FIGURES
from w2sg.pair_specs import required_inputs
from w2sg.theory.experiments import DEAR, EXPERIMENTS, describe
from w2sg.theory.figures import FIGURES as THEORY_FIGURES, caption_of

ROOT = Path(workflow.basedir)

try:
    study.check_config(config, study.load_schema(ROOT / "workflow" / "schemas" / "config.schema.yaml"))
    FAMILIES = {name: sweep.resolve_family(name, config, ROOT) for name in config["sweep"]["families"]}
    DATASETS = list(config["sweep"]["datasets"])
    study.check_sources(config, FAMILIES, DATASETS)
except study.ConfigError as error:
    raise WorkflowError(str(error)) from None

USED = sweep.used_revisions(FAMILIES)
HUB_MODELS = [name for name in USED if config["models"][name]["source"] == "hub"]
PARTIAL = config["partial"]
SPLIT = config["fetch"]["mode"] == "split"

# Whatever profile is used: no more jobs that hold a snapshot, or wait for a place, than can do any good.
for limited, most in sweep.fetch_limits(config["fetch"]["snapshots"]).items():
    given = workflow.global_resources[limited].value if limited in workflow.global_resources else None
    workflow.register_resource(limited, most if given is None else min(given, most))

if workflow.is_main_process:
    planning.complete_plans(DAG)
    snapshots.tidy(Path(config["scratch"]), Path("results/snapshots"))
    if SPLIT and HUB_MODELS:
        runs.announce_run(Path(config["scratch"]))


onstart:
    if not workflow.local_exec:
        runs.announce_queue()
    if workflow.is_main_process and workflow.executor_plugin.name == "slurm":
        try:
            cluster.refuse_leftovers(Path.cwd())
        except cluster.QueueError as error:
            raise WorkflowError(str(error)) from None


if workflow.storage_settings.default_storage_provider:

    def ensure(path, **checks):
        """Returns the path unchecked: Snakemake 9.27 asks a bucket for an output's size before it uploads the output."""
        return path


NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"


wildcard_constraints:
    family=NAME,
    model=NAME,
    revision=NAME,
    dataset=NAME,
    corpus=NAME,
    vocabulary=r"\d+",


def present(paths):
    """Returns paths; only those that are there by now in a partial study."""
    return [path for path in paths if not PARTIAL or Path(path).exists()]


def revision_names(family):
    """Returns the names of a family's selected revisions."""
    return [revision.name for revision in FAMILIES[family].revisions]


def head_tables(family, dataset):
    """Returns the tables of a family's revisions on a dataset; those that are there by now in a partial study."""
    return present(f"results/metrics/{family}/{name}/{dataset}.parquet" for name in revision_names(family))


def sweep_tables():
    """Returns every table per revision, so that a lost one is noticed although its aggregate still exists."""
    return [
        path
        for family, datasets in CELLS.items()
        for dataset in datasets
        for path in head_tables(family, dataset)
    ]


def cells(pattern):
    """Returns a pattern's paths for every family and dataset of the study; for those measured at all in a partial one."""
    return [
        pattern.format(family=family, dataset=dataset)
        for family, datasets in CELLS.items()
        for dataset in datasets
    ]


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


def awaited_inputs(wildcards):
    """Returns the same as a list, for the fetch that only waits for it."""
    inputs = extraction_inputs(wildcards)
    return [*inputs["pairs"], inputs["documents"]]


def listed_revisions(wildcards):
    """Returns the names of all published revisions of a model, by step, and of those that are used besides."""
    listed = sweep.revisions_of(wildcards.model, config["models"][wildcards.model], ROOT)
    names = [revision.name for revision in sorted(listed, key=lambda revision: revision.step)]
    return list(dict.fromkeys([*names, *USED.get(wildcards.model, [])]))


def audit_tables():
    """Returns the audits of the study's Hub models."""
    return present(f"results/audit/{name}.parquet" for name in HUB_MODELS)


def planned_study():
    """Returns what the study's costs depend on."""
    families = {
        name: {"strong": family.strong, "weak": family.weak, "revisions": len(family.revisions)}
        for name, family in FAMILIES.items()
    }
    return {
        "families": families,
        "used": {name: len(names) for name, names in USED.items()},
        "repos": {name: config["models"][name]["repo"] for name in HUB_MODELS},
        "pairs": {name: config["datasets"][name]["pairs"] for name in DATASETS},
        "layers": config["activations"]["layers"],
        **config["fetch"],
    }


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
    """Returns the part of a model's entry that decides its numbers: how to save revisions more often does not."""
    entry = dict(config["models"][wildcards.model])
    if entry["source"] == "pretrain":
        entry["pretraining"] = {k: v for k, v in entry["pretraining"].items() if k != "save_every"}
    entry.pop("revisions", None)
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
    """Returns the sections of the configuration that decide the report's numbers, in the order of the file."""
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
    return {name: config[name] for name in names}


# Families with the datasets on which they are measured.
CELLS = {family: [d for d in DATASETS if head_tables(family, d) or not PARTIAL] for family in FAMILIES}
CELLS = {family: datasets for family, datasets in CELLS.items() if datasets}
if not CELLS:
    raise WorkflowError(
        "partial: no table of this study is there yet (results/metrics); run it without partial first"
    )


def cores_of(wildcards):
    """Returns the threads of an experiment: half the cores for the dear ones, so that two of them share a machine."""
    return max(1, (workflow.cores or 1) // 2) if wildcards.experiment in DEAR else 1


def all_cores(wildcards):
    """Returns the cores of this machine's run; one where a cluster gives each job its own."""
    return workflow.cores or 1
