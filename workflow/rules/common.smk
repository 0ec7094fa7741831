"""Configuration, families, wildcard constraints and what happens around a run. No cost."""

import os
import re
import shlex
import sys
import time
from functools import cache

from snakemake.exceptions import WorkflowError
from snakemake.iocontainers import Wildcards
from snakemake.logging import logger

from w2sg.command import ending, record, sizes
from w2sg.command.partial import write_partial
from w2sg.command.places import CommandError
from w2sg.data.door.files import check_enough, check_files, first_dialogues, first_texts
from w2sg.data.door.labels import check_labels
from w2sg.report.catalogue import FIGURES, GROUP_FIGURES, as_percent
from w2sg.revisions import environment, offline, scratch
from w2sg.revisions.facts import comparison, examples
from w2sg.revisions.folders import RevisionError, check_weights
from w2sg.runtime import driver, slurm
from w2sg.runtime.files import atomic_path, file_sha256
from w2sg.study import config as study, definitions, families, fields, recipes, rounds
from w2sg.study.datasets import required_inputs
from w2sg.study.lists import models, rows, selection
from w2sg.study.protocols import trained_kinds
from w2sg.tables.origins import file_mismatches
from w2sg.theory.experiments.catalogue import EXPERIMENTS, describe_experiment, experiment_of
from w2sg.theory.figures.catalogue import FIGURES as THEORY_FIGURES, caption_of

# Snakemake writes the interpreter's path into commands as it stands; one in a folder with a space would end at it.
if Path(sys.executable).is_file():
    sys.executable = shlex.quote(sys.executable)

if set("{}") & set(str(ROOT)):
    raise WorkflowError(
        f"the project lies in {ROOT}; Snakemake fills in what stands in braces in the path of a script, so that none would start: "
        "move it to a folder without braces"
    )

# A module whose configuration is given (config: ...) reads no file of its own.
shipped = [ROOT / "config" / f"{name}.yaml" for name in ("datasets", "models", "config")]
if not {*map(str, shipped)} & {*map(str, workflow.configfiles)}:
    config = study.lay_over(shipped, config)
given = len(workflow.overwrite_configfiles)
ORIGINS = study.Origins(
    files=[*map(Path, workflow.configfiles[given:]), *workflow.overwrite_configfiles],
    words=workflow.config_settings.config_args,
    parsed=workflow.config_settings.config,
)
try:
    config = study.complete_config(config, ORIGINS)
    SWEPT = [member for name in config["sweep"]["families"] for member in families.members(name, config)]
    LISTED = {name: families.resolve_family(name, config, ROOT) for name in SWEPT}
    # What the rounds of adaptive families have chosen so far is read at the start of each run, which extends the sweep by it.
    chosen = Path("results") / config["study"] / "selection"
    ROUNDS = rounds.read_rounds(config, LISTED, chosen, begun=not workflow.is_main_process)
    FAMILIES = rounds.narrow(LISTED, ROUNDS)
    DATASETS = list(config["sweep"]["datasets"])
    study.check_sources(config, FAMILIES, DATASETS)
    if workflow.is_main_process:
        for note in check_files(config, DATASETS):
            logger.info(note)
        check_labels(
            config, [family.supervisor for family in FAMILIES.values()], DATASETS, Path("resources/pairs")
        )
        for note in families.own_teachers(FAMILIES):
            logger.warning(note)
        comparison.check_audited(config, FAMILIES, Path("results/audit"))
        for note in comparison.check_local(config, FAMILIES, first_dialogues(config, DATASETS)):
            logger.warning(note)
        for line in examples.show_examples(config, FAMILIES, first_texts(config, DATASETS)):
            logger.info(line)
        for one in ROUNDS.values():
            logger.info(one.describe())
        for name in families.used_revisions(FAMILIES):
            for note in models.list_notes(name, config["models"][name], ROOT):
                logger.warning(f"models.{name}: {note}")
    DEFINITIONS = definitions.shared_definitions(config, FAMILIES)
    definitions.check_others(config["study"], DEFINITIONS, Path("results"))
except study.ConfigError as error:
    raise WorkflowError(ORIGINS.describe(error)) from None

STUDY = Path("results") / config["study"]
USED = families.used_revisions(FAMILIES)
# All whose labels are made, also for others: of a family, of a mean, of a chain.
SUPERVISORS = {(one.name, one.revision): one for family in FAMILIES.values() for one in family.supervisor.all}
HUB_MODELS = [name for name in USED if config["models"][name]["source"] == "hub"]
texts = [*(config["datasets"][name] for name in DATASETS), config["corpora"][config["evaluation"]["corpus"]]]
if HUB_MODELS or any(entry["source"] == "hub" for entry in texts):
    try:
        environment.check_environment()
    except RevisionError as error:
        raise WorkflowError(str(error)) from None
PARTIAL = config["partial"]
if PARTIAL and workflow.is_main_process and not workflow.dryrun and record.is_alive(STUDY / record.FILE):
    try:
        made = write_partial(ROOT, record.read_record(STUDY / record.FILE))
    except (CommandError, ValueError) as error:
        raise WorkflowError(str(error)) from None
    print(f"study {config['study']} runs at this moment; partial report beside it: {made / 'report.html'}")
    sys.exit(0)
SPLIT = config["fetch"]["mode"] == "split"
TRAINED = trained_kinds(config["students"]["kinds"])
# Whether jobs of their own fetch Hub revisions: extraction and students then use the same download.
FETCHED = SPLIT or bool(TRAINED)


# A study has a folder of its own; what costs forward passes is shared by all of them.
pathvars:
    study=str(STUDY),
    study_name=config["study"],


def present_run():
    """Returns what this run is about to do, for those who watch it."""
    environments = Path(workflow.deployment_settings.conda_prefix or ".snakemake/conda")
    methods = {str(method) for method in workflow.deployment_settings.deployment_method}
    return record.Run(
        study=config["study"],
        started=time.time(),
        cores=workflow.cores,
        executor=workflow.executor_plugin.name,
        project=str(ROOT),
        environments=str(environments.resolve()) if "conda" in methods else "",
        hours=planned_hours(),
        jobs=record.describe_jobs(workflow.dag),
        config=config,
    )


onstart:
    if workflow.is_main_process:
        # By default Snakemake bounds starts to 100 a second. For that each look at the waiting jobs brings another one a second later:
        # looks grow with the jobs that have ended, to half a core after some hundreds. A bound that the user gives stays.
        bound = workflow.scheduling_settings.max_jobs_per_timespan
        if bound and (bound.max_jobs, bound.timespan) == (100, 1):
            workflow.scheduler.job_rate_limiter = None
        if not workflow.local_exec:
            driver.announce_queue()
        if workflow.executor_plugin.name == "slurm":
            try:
                slurm.refuse_leftovers(Path.cwd())
            except slurm.QueueError as error:
                raise WorkflowError(str(error)) from None
        pods = workflow.executor_plugin.name == "kubernetes"
        if ROUNDS and pods:
            raise WorkflowError(
                "select: adaptive needs a results folder that all jobs see, which pods have not; run this study on one machine or with Slurm"
            )
        if FETCHED and HUB_MODELS and pods:
            raise WorkflowError(
                "fetch.mode split and students.kinds lora or full need a scratch folder that all jobs see, which pods have not; "
                "run this study on one machine or with Slurm"
            )
        if FETCHED and HUB_MODELS and "downloads" not in workflow.global_resources:
            raise WorkflowError(
                "fetch.mode split, or trained students of Hub models: the profile has no 'resources: downloads: 10000' as profiles/default has; "
                "downloads that wait for a place would keep every extraction from starting"
            )
        # A check, a plan and a comparison make no files by these names, so that no other study need mean the same.
        if set(workflow.dag_settings.targets or ["all"]) - {"check", "plan", "verify"}:
            with atomic_path(STUDY / definitions.FILE) as path:
                path.write_text(definitions.as_json(DEFINITIONS), encoding="utf-8")
            if ROUNDS:
                with atomic_path(STUDY / "selection" / rounds.NOTE) as path:
                    path.write_text(rounds.note_rounds(ROUNDS), encoding="utf-8")
            # Beside a run of the same study, such as of its theory, which goes on being the one that is watched.
            if not PARTIAL and not record.is_alive(STUDY / record.FILE):
                run = present_run()
                path = record.leave_record(STUDY, run)
                logger.info(ending.beginning(run), extra={"w2sg_run": str(path)})
        scratch.tidy(Path(config["scratch"]), Path("results/snapshots"))
        if FETCHED and HUB_MODELS:
            driver.announce_run(Path(config["scratch"]))


onsuccess:
    if workflow.is_main_process:
        following = rounds.read_rounds(config, LISTED, STUDY / "selection")
        goes_on = [
            name for name, one in following.items() if not one.end and one.rows != ROUNDS[name].rows
        ]
        if goes_on and rounds.LEFT in os.environ:
            Path(os.environ[rounds.LEFT]).write_text("\n".join(goes_on), encoding="utf-8")
        asked = workflow.dag_settings
        if record.is_own(STUDY / record.FILE) and not (asked.targets or asked.until or asked.omit_from):
            for one in following.values():
                logger.info(one.describe())
            report = f"{STUDY / 'report.html'}"
            said = f"study {config['study']} is done: {report}"
            if not all(one.end for one in following.values()):
                said = f"the same command measures the next round; the report on those so far: {report}"
            logger.info(said, extra={"w2sg_end": True})


onerror:
    if record.is_own(STUDY / record.FILE):
        jobs = [
            job for one in workflow.scheduler.failed for job in (one.jobs if one.is_group() else [one])
        ]
        failed = [str(file) for job in jobs for file in job.output]
        logger.error(ending.ending(STUDY / record.FILE, failed), extra={"w2sg_end": True})


# What the configuration and revision lists allow is what wildcards match.
NAME = fields.NAME.strip("^$")


wildcard_constraints:
    family=NAME,
    model=NAME,
    revision=NAME,
    supervisor=NAME,
    dataset=NAME,
    corpus=NAME,
    vocabulary=r"\d+",
    round=r"\d+",


def present(paths):
    """Returns paths; only those that are there by now in a partial study."""
    return [path for path in paths if not PARTIAL or Path(path).exists()]


def head_tables(family, dataset, kind="metrics"):
    """Returns the tables of a family's revisions on a dataset; those that are there by now in a partial study."""
    names = [one.name for one in FAMILIES[family].revisions]
    return present(f"{STUDY}/{kind}/{family}/{name}/{dataset}.parquet" for name in names)


# Families with the datasets on which they are measured.
CELLS = {f: names for f in FAMILIES if (names := [d for d in DATASETS if head_tables(f, d) or not PARTIAL])}
if not CELLS:
    raise WorkflowError(
        f"partial: no table of this study is there yet ({STUDY}/metrics); run it without partial first"
    )
# Families of several pre-training seeds with those of them that are measured.
GROUPS = families.groups(config["sweep"]["families"], config, CELLS)


def cells(pattern):
    """Returns a pattern's paths for every family and dataset of the study; for those measured at all in a partial one."""
    return [pattern.format(family=f, dataset=d) for f, datasets in CELLS.items() for d in datasets]


def group_cells(pattern):
    """Returns a pattern's paths for every family of several pre-training seeds and every dataset that one was measured on."""
    return [
        pattern.format(family=name, dataset=dataset)
        for name, seeds in GROUPS.items()
        for dataset in DATASETS
        if any(dataset in CELLS[seed] for seed in seeds)
    ]


def loss_table(model, revision):
    """Returns the table of one revision's evaluation loss."""
    return f"results/activations/{model}/{revision}/loss.parquet"


@cache
def published_of(model):
    """Returns all published revisions of a model."""
    return models.revisions_of(model, config["models"][model], ROOT)


def place_of(model, revision):
    """Returns where a revision lies, as far as its name does not say it."""
    return models.place_of(revision, published_of(model), config["models"][model])


def opened(wildcards):
    """Returns the revision whose files are opened, which of a random twin is another one."""
    return models.files_of(wildcards.revision, published_of(wildcards.model))


def identity(wildcards):
    """Returns the part of a model's entry that decides its numbers, and what else its jobs are told of a revision."""
    entry = definitions.identity(config["models"][wildcards.model])
    revision = wildcards.get("revision")
    at = place_of(wildcards.model, revision) if revision else {}
    like = {"like": opened(wildcards)} if revision == rows.RANDOM else {}
    return entry | like | ({"at": at} if at else {})


hashed = cache(file_sha256)


def content(spec):
    """Returns the hashes of an entry's local files: they count by what they hold, not by when they were written."""
    return [hashed(Path(path)) for path in required_inputs(spec)]


DECIDING = definitions.Deciding(config=config, families=FAMILIES, content=content)


def all_cores(wildcards):
    """Returns the cores of this machine's run; one where a cluster gives each job its own."""
    return workflow.cores or 1
