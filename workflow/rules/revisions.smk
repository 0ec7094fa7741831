"""Published revisions: their audit, and in split mode their download. One listing, or one download, each."""


localrules:
    fetch_revision,
    audit_revisions,
    collect_audit,


rule fetch_revision:
    """Fetches one Hub revision where there is a network, in split mode and for trained students; what reads it last deletes it."""
    input:
        # Waited for: once a revision is here its extraction must be able to start, or nobody would free its place.
        unpack(extraction_inputs),
        labels=fetched_after,
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
    """Compares what is published of a Hub model's listed revisions: hashes of weights, configuration and tokenizer."""
    output:
        "results/audit/{model}.parquet",
    log:
        "logs/audit_revisions/{model}.log",
    # First: which revisions cannot be run is then known within a minute.
    priority: 90
    conda:
        "../../envs/torch.yaml"
    params:
        model=identity,
        revisions=lambda wildcards: listed_revisions(wildcards.model),
        places=lambda wildcards: places_in(wildcards.model),
        source=audit_source,
        # What audits learned; no output, or Snakemake would delete it before each.
        kept="results/audit/{model}.json",
        recipe=recipes.AUDIT,
    script:
        "../scripts/audit_revisions.py"


rule collect_audit:
    """Joins the audits of the study's models; revisions that are not on the Hub are compared by what was extracted."""
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
        made=lambda wildcards: made_audit(),
    script:
        "../scripts/collect_audit.py"
