"""What the rules ask of the configuration: their inputs, and what decides their outputs; in the order of the rule files. No cost."""

# data


def corpus_files(wildcards):
    """Returns the user's own file that a text is read from; nothing for corpora of packages."""
    return [local(path) for path in required_inputs(config["corpora"][wildcards.corpus])]


def corpus_spec(wildcards):
    """Returns a corpus's entry, with the hash of what the user's own file holds."""
    spec = config["corpora"][wildcards.corpus]
    hashes = content(spec)
    return spec | {"content": hashes} if hashes else spec


def pair_inputs(wildcards):
    """Returns what a dataset is built from: its corpus, or its local files."""
    spec = config["datasets"][wildcards.dataset]
    named = {"documents": f"resources/corpora/{spec['corpus']}.parquet"} if "corpus" in spec else {}
    # Files of the user's own lie where Snakemake runs, also where all other files live in a bucket.
    return named | {"files": [local(path) for path in required_inputs(spec)]}


# pretraining


def tokenizer_folder(wildcards):
    """Returns where tokenizer and tokens of a model that is trained here lie."""
    model = config["models"][wildcards.model]
    return f"resources/tokenizers/{model['corpus']}/{model['pretraining']['vocabulary_size']}"


def unread_datasets(wildcards):
    """Returns what must be read before a first training: a broken dataset or text stops the study before it costs minutes.

    No trained model depends on them: one that is there waits for none.
    """
    if Path(f"results/pretrained/{wildcards.model}/manifest.tsv").exists():
        return []
    pairs = [f"resources/pairs/{name}.parquet" for name in DATASETS]
    given = [
        label_table(one, name) for one in SUPERVISORS.values() if one.source == "labels" for name in DATASETS
    ]
    paths = [*pairs, *given, f"resources/corpora/{config['evaluation']['corpus']}.parquet"]
    return [path for path in paths if not Path(path).exists()]


# revisions


def share_of(most):
    """Returns what one of at most ``most`` jobs takes of a resource of 10,000, which the profiles declare."""
    return 10000 // most


def listed_revisions(model):
    """Returns the names of all published revisions of a model, by step, and of those that are used besides."""
    names = [revision.name for revision in sorted(published_of(model), key=lambda revision: revision.step)]
    used = [name for name in USED.get(model, []) if name != rows.RANDOM]
    return list(dict.fromkeys([*names, *used]))


def places_in(model):
    """Returns where revisions of a model lie, by name, as far as their names do not say it."""
    return {one.name: one.place for one in published_of(model) if one.place}


def audit_source(wildcards):
    """Returns what an audit of a model rests on now: the Hub, or what the local cache holds."""
    repo, kept = config["models"][wildcards.model]["repo"], Path(f"results/audit/{wildcards.model}.json")
    return offline.source_of(repo, listed_revisions(wildcards.model), kept, places_in(wildcards.model))


def audit_tables():
    """Returns the audits of the study's Hub models."""
    return present(f"results/audit/{name}.parquet" for name in HUB_MODELS)


def own_losses():
    """Returns the loss tables of the models that are not on the Hub: they say whose weights were opened, and how texts were read."""
    return [path for model, names in USED.items() for path in opened_losses(model, names)]


def opened_losses(model, revisions):
    """Returns those of one model, none of one on the Hub; a random twin is nobody's publication."""
    names = [name for name in revisions if name != rows.RANDOM and model not in HUB_MODELS]
    return present(loss_table(model, name) for name in names)


@cache
def made_audit():
    """Returns what decides the joined audit."""
    made = {
        "tables.audit": definitions.listing([*audit_tables(), *own_losses()]),
        "recipes.AUDIT": recipes.AUDIT,
    }
    for model in USED:
        hub = model in HUB_MODELS
        made |= DECIDING.audit(model, listed_revisions(model)) if hub else DECIDING.loss(model)
    return made


def teachers_of(family, known=frozenset()):
    """Returns the supervisors that stand behind the labels of a family, as (model, revision): its own, that one's, and so on."""
    own = {(one.name, one.revision) for one in family.supervisor.models}
    if own <= known:
        return known
    found = known | own
    for other in FAMILIES.values():
        if other.strong in {name for name, _ in own}:
            found |= teachers_of(other, found)
    return found


def fetched_after(wildcards):
    """Returns what must be there before a strong revision is fetched: its supervisors' labels, if students are trained on them.

    Without them nobody could take its place on the disk. A revision that is among the supervisors of its own supervisor waits for nothing.
    """
    model, revision = wildcards.model, wildcards.revision
    families = [f for f in FAMILIES.values() if f.strong == model and (model, revision) not in teachers_of(f)]
    tables = {label_table(f.supervisor, dataset) for f in families if TRAINED for dataset in DATASETS}
    return sorted(tables)


# activations


def published(wildcards):
    """Returns the revision list that a model's own pre-training publishes, and its origin; nothing for the others."""
    folder = f"results/pretrained/{wildcards.model}"
    trained = config["models"][wildcards.model]["source"] == "pretrain"
    return [f"{folder}/manifest.tsv", f"{folder}/origin.json"] if trained else []


def ticket(wildcards):
    """Returns the ticket of a Hub revision that another job fetches (split mode, or with trained students); nothing otherwise."""
    if FETCHED and wildcards.model in HUB_MODELS:
        return f"results/snapshots/{wildcards.model}/{wildcards.revision}.json"
    return []


def extraction_ticket(wildcards):
    """Returns the ticket for an extraction; with trained students nothing where it is done, as a download for these is no reason to repeat it."""
    model, revision = wildcards.model, wildcards.revision
    folder = Path(f"results/activations/{model}/{revision}")
    made = {folder / f"{name}.safetensors": DECIDING.features(model, revision, name) for name in DATASETS}
    made[folder / "loss.parquet"] = DECIDING.loss(model)
    done = TRAINED and all(
        path.exists() and not file_mismatches(path, wanted) for path, wanted in made.items()
    )
    return [] if done else ticket(wildcards)


def extraction_inputs(wildcards):
    """Returns what every extraction of the study reads besides the revision."""
    pairs = [f"resources/pairs/{dataset}.parquet" for dataset in DATASETS]
    return {"pairs": pairs, "documents": f"resources/corpora/{config['evaluation']['corpus']}.parquet"}


def kept_settings(wildcards):
    """Returns the settings that decide a revision's numbers: one that only supervises keeps its final layer."""
    settings = definitions.forward_settings(config["activations"])
    layers = families.kept_layers(settings["layers"], FAMILIES, wildcards.model, wildcards.revision)
    return settings | {"layers": layers}


def mark(path):
    """Returns what tells a user's file from another one: its hash; of weights, too large to read at each start, size and date."""
    facts = path.stat()
    return file_sha256(path) if facts.st_size <= 2**20 else f"{facts.st_size} bytes of {facts.st_mtime_ns}"


def folder_of(model, revision):
    """Returns the folder of a local model's revision; of a random twin that of its configuration."""
    opened_one = models.files_of(revision, published_of(model))
    return models.local_folder(config["models"][model], opened_one, place_of(model, revision))


def local_revision(wildcards):
    """Returns the marks of all files of a revision that lies in a folder of the user's; its weights must be what they seem."""
    entry = config["models"][wildcards.model]
    if entry["source"] != "local":
        return []
    folder = folder_of(wildcards.model, wildcards.revision)
    try:
        if wildcards.revision != rows.RANDOM:
            check_weights(folder)
    except RevisionError as error:
        raise WorkflowError(str(error)) from None
    folders = [folder, *([Path(entry["tokenizer"])] if "tokenizer" in entry else [])]
    return [
        f"{path.name}: {mark(path)}" for one in folders for path in sorted(one.iterdir()) if path.is_file()
    ]


def read_losses():
    """Returns the loss tables of all used revisions, which also say what was read; those that are there in a partial study."""
    return present(loss_table(model, name) for model, names in USED.items() for name in names)


@cache
def made_readings():
    """Returns what decides the table of what was read."""
    made = {"tables.readings": definitions.listing(read_losses()), "recipes.READINGS": recipes.READINGS}
    for model in USED:
        made |= DECIDING.loss(model)
    for dataset in DATASETS:
        made |= DECIDING.pairs(dataset)
    return made


def places_taken(wildcards):
    """Returns what an extraction takes of the scratch disk: a place from its start if it downloads itself."""
    return share_of(config["fetch"]["snapshots"]) if not FETCHED and wildcards.model in HUB_MODELS else 0


# heads


def other_datasets(dataset):
    """Returns the study's other datasets by name: heads are tested on their test pairs too."""
    return sorted({*DATASETS} - {dataset})


def label_table(supervisor, dataset, kind="labels"):
    """Returns the table of a supervisor's labels, or of its own metrics."""
    maker = {"model": "weak", "labels": "given"}.get(supervisor.source, supervisor.source)
    return f"{STUDY}/{maker}_{kind}/{supervisor.path}/{dataset}.parquet"


def named_supervisor(wildcards):
    """Returns the supervisor that a job makes the labels of."""
    return SUPERVISORS[wildcards.supervisor, wildcards.revision]


def joined_labels(wildcards):
    """Returns the labels of the supervisors that another one is the mean of."""
    return [label_table(one, wildcards.dataset) for one in named_supervisor(wildcards).of]


def label_file(wildcards):
    """Returns the file of the user's own that has the labels of a dataset."""
    path = config["supervisors"][wildcards.supervisor]["files"][wildcards.dataset]
    (found,) = required_inputs({"source": "labels", "path": path})
    return local(found)


def chain_inputs(wildcards):
    """Returns what a student in a chain learns: the labels of the one before, on features of its own."""
    weaker, own = named_supervisor(wildcards).of
    own_revision = Wildcards(fromdict={"revision": own.revision, "dataset": wildcards.dataset})
    return transfer_inputs(own.name, own_revision) | {
        "features": f"results/activations/{own.path}/{wildcards.dataset}.safetensors",
        "taught": label_table(weaker, wildcards.dataset),
    }


@cache
def checked_size(dataset):
    """Raises an error if a dataset is known to have too few pairs for heads; asked of it where heads are wanted."""
    try:
        if workflow.is_main_process:
            check_enough(config, dataset, study.fewest_pairs(config))
    except study.ConfigError as error:
        raise WorkflowError(ORIGINS.describe(error)) from None


def transfer_inputs(model, wildcards):
    """Returns a revision's features of the study's other datasets, and their pairs."""
    checked_size(wildcards.dataset)
    names, revision = other_datasets(wildcards.dataset), wildcards.revision
    return {
        "other_features": [f"results/activations/{model}/{revision}/{name}.safetensors" for name in names],
        "other_pairs": [f"resources/pairs/{name}.parquet" for name in names],
    }


def head_inputs(wildcards):
    """Returns a revision's features, and the labels of its family's supervisor, with its features if it is one model."""
    family = FAMILIES[wildcards.family]
    own = family.supervisor.own
    return transfer_inputs(family.strong, wildcards) | {
        "features": f"results/activations/{family.strong}/{wildcards.revision}/{wildcards.dataset}.safetensors",
        "labels": label_table(family.supervisor, wildcards.dataset),
        "weak_features": f"results/activations/{own.path}/{wildcards.dataset}.safetensors" if own else [],
        "pairs": f"resources/pairs/{wildcards.dataset}.parquet",
    }


# students


def of_role(role, function):
    """Returns a function of a model's revision as one of a family's revision, whose ``strong`` or ``weak`` model is meant."""

    def found(wildcards):
        family = FAMILIES[wildcards.family]
        model = family.strong if role == "strong" else family.supervisor.own.name
        return function(Wildcards(fromdict={"model": model, "revision": wildcards.revision}))

    return found


def lesson_inputs(role):
    """Returns what students of a family's revision learn from; with features, which are made of the same download first."""

    def found(wildcards):
        family, model = FAMILIES[wildcards.family], of_role(role, lambda own: own.model)(wildcards)
        features = f"results/activations/{model}/{wildcards.revision}"
        return {
            "pairs": [f"resources/pairs/{dataset}.parquet" for dataset in DATASETS],
            "labels": [label_table(family.supervisor, dataset) for dataset in DATASETS],
            "features": [f"{features}/{dataset}.safetensors" for dataset in DATASETS],
            "published": of_role(role, published)(wildcards),
            "ticket": of_role(role, ticket)(wildcards),
        }

    return found


# The tables of students whose backbone is trained, beside those of heads; none without such students.
STUDENT_METRICS, STUDENT_MARGINS = (["students"], ["student_predictions"]) if TRAINED else ([], [])


def weak_student_tables(family, dataset, kinds):
    """Returns the tables of the supervisor's own model trained on its labels, if it is one model."""
    own = family.supervisor.own
    return [f"{STUDY}/weak_{kind}/{family.name}/{own.revision}/{dataset}.parquet" for kind in kinds if own]


# trajectories


def family_tables(name):
    """Returns the tables of one family: heads and losses per revision, and its supervisor's."""
    family = FAMILIES[name]
    return {
        "heads": [
            path
            for dataset in DATASETS
            for kind in ("metrics", *STUDENT_METRICS)
            for path in head_tables(family.name, dataset, kind)
        ],
        "losses": present(loss_table(family.strong, one.name) for one in family.revisions),
        "weak": present(
            path
            for dataset in DATASETS
            for path in (
                label_table(family.supervisor, dataset, "metrics"),
                *weak_student_tables(family, dataset, STUDENT_METRICS),
            )
        ),
    }


def round_tables():
    """Returns the tables of rounds of adaptive families: those there were, and the next one; none in a partial study."""
    files = [(one.name, number) for one in ROUNDS.values() for number in one.files if not PARTIAL]
    return [f"{STUDY}/selection/{name}/{number}.tsv" for name, number in files]


def round_inputs(wildcards):
    """Returns what a round is chosen from: tables of heads and students at the revisions chosen before, and what their audit reads."""
    one = ROUNDS[wildcards.family]
    chosen, kinds = {row.revision for row in one.before(int(wildcards.round))}, ("metrics", *STUDENT_METRICS)
    names = [listed.name for listed in one.candidates if listed.name in chosen]
    folders = [
        f"{STUDY}/{kind}/{member}/{name}" for kind in kinds for member in one.members for name in names
    ]
    strong = sorted({FAMILIES[member].strong for member in one.members}) if config["audit"]["exclude"] else []
    return {
        "heads": [f"{folder}/{dataset}.parquet" for folder in folders for dataset in DATASETS],
        "audits": [f"results/audit/{model}.parquet" for model in strong if model in HUB_MODELS],
        "losses": [path for model in strong for path in opened_losses(model, names)],
    }


def chosen_before(wildcards):
    """Returns what the rounds before one have chosen, row by row."""
    return [list(vars(row).values()) for row in ROUNDS[wildcards.family].before(int(wildcards.round))]


def round_sweep(wildcards):
    """Returns what the rounds of a family are chosen from and by."""
    one = ROUNDS[wildcards.family]
    return {
        "revisions": [[listed.name, listed.step, listed.tokens] for listed in one.candidates],
        "rule": one.rule.model_dump(),
        "late_step": one.late_step,
        "confidence": config["statistics"]["confidence"],
    }


def made_round(wildcards):
    """Returns what decides a table of rounds."""
    made = {"audit": config["audit"], "recipes.AUDIT": recipes.AUDIT, "recipes.ROUNDS": recipes.ROUNDS}
    for member in ROUNDS[wildcards.family].members:
        for dataset in DATASETS:
            made |= DECIDING.heads(member, dataset)
            if TRAINED:
                made |= DECIDING.students(member, dataset, role="strong")
        model = FAMILIES[member].strong
        hub = model in HUB_MODELS
        made |= DECIDING.audit(model, listed_revisions(model)) if hub else DECIDING.loss(model)
    return made


def listed_families():
    """Returns what the revisions of adaptive families were chosen from, by family."""
    return {
        member: {"count": len(one.candidates), "late_step": one.late_step}
        for one in ROUNDS.values()
        for member in one.members
    }


def joined_family(family):
    """Returns what is said of a family in its table; under which names a supervisor that is no single model stands there."""
    kinds, students = TRAINED, config["students"]
    named = {"kinds": kinds, "protocol": students["supervisor"], "seeds": students["seeds"]}
    return family.facts if family.supervisor.own or not kinds else family.facts | {"as_students": named}


def prediction_tables():
    """Returns the margins of every family's heads on the test pairs, by revision and dataset."""
    names = [(f, one.name, d) for f, found in CELLS.items() for one in FAMILIES[f].revisions for d in found]
    kinds = ("predictions", *STUDENT_MARGINS)
    return present(
        f"{STUDY}/{kind}/{f}/{revision}/{name}.parquet" for kind in kinds for f, revision, name in names
    )


def made_family(name):
    """Returns what decides a family's table; among it are the names of its inputs, of which one may be no longer wanted."""
    files = sorted(path for paths in family_tables(name).values() for path in paths)
    return DECIDING.family(name, CELLS[name], files)


def measured_datasets():
    """Returns the datasets on which a family was measured."""
    return [name for name in DATASETS if any(name in datasets for datasets in CELLS.values())]


@cache
def made_metrics():
    """Returns what decides the long table and what is joined beside it."""
    made = {"sweep": config["sweep"]}
    for dataset in measured_datasets():
        made |= DECIDING.floors(dataset)
    for family in CELLS:
        made |= made_family(family)
    return made


@cache
def made_statistics():
    """Returns what decides transitions and correlations."""
    own = {"statistics": config["statistics"], "audit": config["audit"], "groups": GROUPS}
    own |= {"listed": listed} if (listed := listed_families()) else {}
    return made_metrics() | made_audit() | own | {"recipes.CORRELATIONS": recipes.CORRELATIONS}


def banded_families():
    """Returns the swept families whose acceptance bands are checked; none in a partial study."""
    named = {member for name in config["banded"] for member in families.members(name, config)}
    return [name for name in FAMILIES if name in named and not PARTIAL]


@cache
def made_summary():
    """Returns what decides the summary."""
    return made_statistics() | {"banded": banded_families(), "recipes.SUMMARY": recipes.SUMMARY}


# report


@cache
def made_figures():
    """Returns what decides the figures."""
    return made_summary() | {"recipes.FIGURES": recipes.FIGURES}


def measured_jobs():
    """Returns the benchmark files of the study's own jobs, by stage; those that are there are shown."""
    runs, used = "benchmarks/runs", [(model, name) for model, names in USED.items() for name in names]
    heads = [(f, one.name, d) for f, names in CELLS.items() for one in FAMILIES[f].revisions for d in names]
    trained = [model for model in USED if config["models"][model]["source"] == "pretrain"]
    return {
        "pretrain_family": [f"{runs}/pretrain_family/{model}.tsv" for model in trained],
        "fetch_revision": [
            f"{runs}/fetch_revision/{model}/{name}.tsv" for model, name in used if model in HUB_MODELS
        ],
        "extract_activations": [f"{runs}/extract_activations/{model}/{name}.tsv" for model, name in used],
        "train_heads": [f"{runs}/train_heads/{config['study']}/{f}/{name}/{d}.tsv" for f, name, d in heads],
        "train_students": [
            f"{runs}/train_students/{config['study']}/{f}/{one.name}.tsv"
            for f in (CELLS if TRAINED else [])
            for one in FAMILIES[f].revisions
        ],
    }


def study_settings():
    """Returns what decides the report's numbers, section by section in the order of the configuration."""
    names = "study sweep audit activations evaluation heads students probe intervals statistics".split()
    adaptive = {
        name: {"revisions": len(one.rows), "listed": one.total, "rounds": one.number, **one.rule.model_dump()}
        for name, one in ROUNDS.items()
    }
    return (
        {name: config[name] for name in names}
        | {"activations": definitions.forward_settings(config["activations"])}
        | ({"adaptive": adaptive} if adaptive else {})
    )


@cache
def made_report():
    """Returns what decides the report."""
    return made_summary() | made_readings() | {"recipes.REPORT": recipes.REPORT}


# theory


def cores_of(wildcards):
    """Returns the threads of an experiment: half the cores for the costly ones, so that two of them share a machine."""
    return max(1, (workflow.cores or 1) // 2) if experiment_of(wildcards.experiment).costly else 1


def made_experiment(name):
    """Returns what decides the table of an experiment."""
    section = config["theory"]
    phase = section["phase"] if name.startswith("phase_") else {}
    seeds = {"seeds": phase.get("seeds", section["seeds"]), "seed": section["seed"]}
    own = {f"experiments.{name}": seeds | {"phase": phase, "settings": describe_experiment(name)}}
    return own | {"recipes.THEORY": recipes.THEORY}


@cache
def made_theory():
    """Returns what decides all that is made of the experiments."""
    return {key: value for name in EXPERIMENTS for key, value in made_experiment(name).items()}


# costs


def own_sizes(model):
    """Returns what the plan knows of a model that is not on the Hub."""
    entry = config["models"][model]
    if entry["source"] == "pretrain":
        return sizes.trained_sizes(entry)
    if entry["source"] == "hub":
        return {}
    return sizes.folder_sizes(folder_of(model, USED[model][-1]))


def planned_jobs():
    """Returns :func:`measured_jobs` as a plan takes them: without extractions that download themselves, whose time is the line's as well."""
    jobs = measured_jobs()
    kept = [
        path for path in jobs["extract_activations"] if FETCHED or Path(path).parent.name not in HUB_MODELS
    ]
    return jobs | {"extract_activations": kept}


def planned_hours():
    """Returns the planned hours of the whole study, None where they are unknown; from committed sizes, before any audit."""
    from w2sg.command import planning  # only here: pandas is slow to load
    from w2sg.study import costs

    folder = ROOT / "resources" / "costs"
    facts = {"costs": folder / "models.tsv", "rates": folder / "rates.tsv", "benchmarks": planned_jobs()}
    try:
        hours = planning.make_plan(costs.PlannedStudy(**planned_study()), audits={}, **facts).bound.hours
    except Exception as error:  # a run needs no plan
        logger.warning(f"no hours are planned: {error}")
        return None
    return None if hours != hours else hours


def planned_study():
    """Returns what the study's costs depend on."""
    protocols = 2 + len(TRAINED)
    cases = len(DATASETS) * protocols
    return {
        "families": {
            name: {
                "strong": family.strong,
                "weak": family.supervisor.taught_by_truth,
                "revisions": len(family.revisions),
                "one_model": family.supervisor.own is not None,
            }
            for name, family in FAMILIES.items()
        },
        "used": {name: len(names) for name, names in USED.items()},
        "repos": {name: config["models"][name]["repo"] for name in HUB_MODELS},
        "dtypes": {name: config["models"][name]["dtype"] for name in USED},
        "own": {name: facts for name in USED if (facts := own_sizes(name))},
        "pairs": {name: sizes.count_pairs(name, config["datasets"][name]) for name in DATASETS},
        "layers": config["activations"]["layers"],
        "threads": config["activations"]["threads"],
        "students": config["students"],
        "adaptive": {member: one.bounds(cases) for one in ROUNDS.values() for member in one.members},
        "holes": {
            family.strong: selection.holes_in(published_of(family.strong))
            for family in FAMILIES.values()
            if config["models"][family.strong]["source"] != "pretrain"
        },
        **config["fetch"],
    }


# check


def checked_models():
    """Returns what a check is told of each model: its entry, the last used revision, all of them, and where they are known or lie."""
    local_ones = [name for name in USED if config["models"][name]["source"] == "local"]
    return {
        name: {
            "entry": identity(Wildcards(fromdict={"model": name, "revision": used[-1]})),
            "revision": used[-1],
            "used": used,
            "root": f"results/pretrained/{name}",
            "kept": f"results/audit/{name}.json",
            "folders": {one: str(folder_of(name, one)) for one in used if name in local_ones},
        }
        for name, used in USED.items()
    }


# verify


def measured_origins():
    """Returns what must have decided each file per dataset, model and revision, by path."""
    entries = [config["datasets"][name] for name in DATASETS] + [config["models"][name] for name in USED]
    corpora = {entry["corpus"] for entry in (*entries, config["evaluation"]) if "corpus" in entry}
    files = {f"resources/corpora/{name}.parquet": DECIDING.documents(name) for name in sorted(corpora)}
    for name in DATASETS:
        files[f"resources/pairs/{name}.parquet"] = DECIDING.pairs(name)
        files[f"{STUDY}/floors/{name}.parquet"] = DECIDING.floors(name)
    for model, revisions in USED.items():
        entry = config["models"][model]
        if entry["source"] == "pretrain":
            size = entry["pretraining"]["vocabulary_size"]
            tokens = f"resources/tokenizers/{entry['corpus']}/{size}/tokens.safetensors"
            files[tokens] = DECIDING.tokens(entry["corpus"])
            files[f"results/pretrained/{model}/origin.json"] = DECIDING.weights(model)
        elif model in HUB_MODELS:
            files[f"results/audit/{model}.parquet"] = DECIDING.audit(model, listed_revisions(model))
        for revision in revisions:
            files[loss_table(model, revision)] = DECIDING.loss(model)
            for name in DATASETS:
                features = f"results/activations/{model}/{revision}/{name}.safetensors"
                files[features] = DECIDING.features(model, revision, name)
    return files


STATISTICS = ("transitions", "correlations", "prediction", "agreement")


def joined_origins():
    """Returns the same for the study's heads, tables, figures and pages."""
    files = {}
    for family, datasets in CELLS.items():
        supervisor = FAMILIES[family].supervisor
        for dataset in datasets:
            for kind in ("labels", "metrics"):
                files[label_table(supervisor, dataset, kind)] = DECIDING.supervision(family, dataset)
            for kind in ("metrics", "predictions"):
                files |= dict.fromkeys(head_tables(family, dataset, kind), DECIDING.heads(family, dataset))
            for kind in (*STUDENT_METRICS, *STUDENT_MARGINS):
                strong, own = (DECIDING.students(family, dataset, role=role) for role in ("strong", "weak"))
                files |= dict.fromkeys(head_tables(family, dataset, kind), strong)
                files |= dict.fromkeys(weak_student_tables(FAMILIES[family], dataset, [kind]), own)
            for name in FIGURES:
                figure = f"{STUDY}/figures/{name}/{family}/{dataset}"
                files |= {f"{figure}.{kind}": made_figures() for kind in ("svg", "pdf", "png", "parquet")}
        files[f"{STUDY}/tables/families/{family}.parquet"] = made_family(family)
    for name in GROUP_FIGURES:
        for figure in group_cells(f"{STUDY}/figures/{name}/{{family}}/{{dataset}}"):
            files |= {f"{figure}.{kind}": made_figures() for kind in ("svg", "pdf", "png", "parquet")}
    files |= {
        f"{STUDY}/tables/{name}.parquet": made_metrics() for name in ("metrics", "floors", "completeness")
    }
    files |= {f"{STUDY}/tables/{name}.parquet": made_statistics() for name in STATISTICS}
    files |= {f"{STUDY}/tables/readings.parquet": made_readings()}
    files |= {f"{STUDY}/tables/audit.parquet": made_audit(), f"{STUDY}/tables/summary.json": made_summary()}
    return files | {f"{STUDY}/report.html": made_report()}


def theory_origins():
    """Returns the same for the synthetic branch."""
    folder = f"{STUDY}/theory"
    files = {f"{folder}/experiments/{name}.parquet": made_experiment(name) for name in EXPERIMENTS}
    drawn = [f"figures/{figure}.{kind}" for figure in THEORY_FIGURES for kind in ("svg", "png", "parquet")]
    names = ["acceptance.parquet", "worked_radii.parquet", *drawn, "report.html"]
    return files | {f"{folder}/{name}": made_theory() for name in names}
