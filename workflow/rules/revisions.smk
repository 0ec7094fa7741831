"""Published revisions: their audit, and in split mode their download. One listing, or one download, each."""


localrules:
    fetch_revision,
    audit_revisions,
    collect_audit,


def share_of(most):
    """Returns what one of at most ``most`` jobs takes of a resource of 10,000, which the profiles declare."""
    return 10000 // most


def listed_revisions(model):
    """Returns the names of all published revisions of a model, by step, and of those that are used besides."""
    listed = revision_lists.revisions_of(model, config["models"][model], ROOT)
    names = [revision.name for revision in sorted(listed, key=lambda revision: revision.step)]
    return list(dict.fromkeys([*names, *USED.get(model, [])]))


def audit_answers(wildcards):
    """Returns the file that keeps what audits of a model learned; no output, or Snakemake would delete it before each."""
    return f"results/audit/{wildcards.model}.json"


def audit_source(wildcards):
    """Returns what an audit of a model rests on now: the Hub, or what the local cache holds."""
    repo = config["models"][wildcards.model]["repo"]
    return offline.source_of(repo, listed_revisions(wildcards.model), Path(audit_answers(wildcards)))


def audit_tables():
    """Returns the audits of the study's Hub models."""
    return present(f"results/audit/{name}.parquet" for name in HUB_MODELS)


def own_losses():
    """Returns the loss tables of the models that are not on the Hub: their commits are the weights' hashes."""
    return [loss_table(model, name) for model, names in own_revisions().items() for name in names]


def own_revisions():
    """Returns the used revisions of each model that is not on the Hub."""
    return {
        model: [name for name in names if present([loss_table(model, name)])]
        for model, names in USED.items()
        if model not in HUB_MODELS
    }


rule fetch_revision:
    """Split mode: fetches one Hub revision where there is a network; the extraction that follows deletes it."""
    input:
        # Waited for: once a revision is here its extraction must be able to start, or nobody would free its place.
        lambda wildcards: extraction_inputs(wildcards)["pairs"],
        lambda wildcards: extraction_inputs(wildcards)["documents"],
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
        downloads=share_of(families.most_downloads(config["fetch"]["snapshots"])),
    params:
        model=identity,
        # Whether an earlier run left the ticket of a snapshot that went with it.
        lost=lambda wildcards: scratch.is_lost(
            Path(f"results/snapshots/{wildcards.model}/{wildcards.revision}.json")
        ),
        recipe=recipes.FETCH,
    script:
        "../scripts/fetch_revision.py"


rule audit_revisions:
    """Compares the published hashes of a Hub model's listed revisions; nothing but listings is fetched."""
    output:
        "results/audit/{model}.parquet",
    log:
        "logs/audit_revisions/{model}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        model=identity,
        revisions=lambda wildcards: listed_revisions(wildcards.model),
        source=audit_source,
        kept=audit_answers,
        recipe=recipes.AUDIT,
    script:
        "../scripts/audit_revisions.py"


@cache
def made_audit():
    """Returns what decides the joined audit."""
    made = {
        "tables.audit": definitions.listing([*audit_tables(), *own_losses()]),
        "recipes.AUDIT": recipes.AUDIT,
    }
    for model in USED:
        if model in HUB_MODELS:
            made |= DECIDING.audit(model, listed_revisions(model))
        else:
            made |= DECIDING.loss(model)
    return made


rule collect_audit:
    """Joins the audits of the study's models; revisions that are not on the Hub are compared by their own hashes."""
    input:
        audits=audit_tables(),
        losses=own_losses(),
    output:
        "<study>/tables/audit.parquet",
    log:
        "logs/collect_audit.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        revisions=own_revisions(),
        made=lambda wildcards: made_audit(),
    script:
        "../scripts/collect_audit.py"
