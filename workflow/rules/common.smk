"""Configuration, families, wildcard constraints and the few helpers that rules share. No cost."""

from dataclasses import asdict

from snakemake.exceptions import WorkflowError

from w2sg.report.catalogue import FIGURES, as_percent
from w2sg.revisions import offline, scratch
from w2sg.runtime import driver, slurm
from w2sg.study import config as study, families, recipes, revision_lists
from w2sg.study.datasets import required_inputs
from w2sg.theory.experiments.catalogue import DEAR, EXPERIMENTS, describe_experiment
from w2sg.theory.figures.catalogue import FIGURES as THEORY_FIGURES, caption_of

ROOT = Path(workflow.basedir)

given = len(workflow.overwrite_configfiles)
ORIGINS = study.Origins(
    files=[*map(Path, workflow.configfiles[given:]), *workflow.overwrite_configfiles],
    words=workflow.config_settings.config_args,
    parsed=workflow.config_settings.config,
)
try:
    config = study.check_config(config, ORIGINS)
    FAMILIES = {name: families.resolve_family(name, config, ROOT) for name in config["sweep"]["families"]}
    DATASETS = list(config["sweep"]["datasets"])
    study.check_sources(config, FAMILIES, DATASETS)
except study.ConfigError as error:
    raise WorkflowError(ORIGINS.describe(error)) from None

USED = families.used_revisions(FAMILIES)
HUB_MODELS = [name for name in USED if config["models"][name]["source"] == "hub"]
PARTIAL = config["partial"]
SPLIT = config["fetch"]["mode"] == "split"

# Whatever profile is used: no more jobs that hold a snapshot, or wait for a place, than can do any good.
for limited, most in families.fetch_limits(config["fetch"]["snapshots"]).items():
    given = workflow.global_resources[limited].value if limited in workflow.global_resources else None
    workflow.register_resource(limited, most if given is None else min(given, most))

if workflow.is_main_process:
    scratch.tidy(Path(config["scratch"]), Path("results/snapshots"))
    if SPLIT and HUB_MODELS:
        driver.announce_run(Path(config["scratch"]))


onstart:
    if not workflow.local_exec:
        driver.announce_queue()
    if workflow.is_main_process and workflow.executor_plugin.name == "slurm":
        try:
            slurm.refuse_leftovers(Path.cwd())
        except slurm.QueueError as error:
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


# Families with the datasets on which they are measured.
CELLS = {family: [d for d in DATASETS if head_tables(family, d) or not PARTIAL] for family in FAMILIES}
CELLS = {family: datasets for family, datasets in CELLS.items() if datasets}
if not CELLS:
    raise WorkflowError(
        "partial: no table of this study is there yet (results/metrics); run it without partial first"
    )


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
        "dtypes": {name: config["models"][name]["dtype"] for name in HUB_MODELS},
        # Files of the user's own need not say how many pairs they hold.
        "pairs": {name: config["datasets"][name].get("pairs") for name in DATASETS},
        "layers": config["activations"]["layers"],
        **config["fetch"],
    }


def cores_of(wildcards):
    """Returns the threads of an experiment: half the cores for the dear ones, so that two of them share a machine."""
    return max(1, (workflow.cores or 1) // 2) if wildcards.experiment in DEAR else 1


def all_cores(wildcards):
    """Returns the cores of this machine's run; one where a cluster gives each job its own."""
    return workflow.cores or 1
