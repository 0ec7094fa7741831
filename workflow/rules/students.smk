"""Students whose backbone is trained: of each revision, and of each supervisor's own model. Minutes to hours each.

One download serves features and students: a Hub revision is fetched by a job of its own, and its ticket is theirs.
"""


rule train_students:
    """Trains ceiling, W2SG student and control of one revision, of every kind on every dataset; continues where it was killed."""
    input:
        unpack(lesson_inputs("strong")),
    output:
        metrics=collect("<study>/students/{{family}}/{{revision}}/{dataset}.parquet", dataset=DATASETS),
        predictions=collect(
            "<study>/student_predictions/{{family}}/{{revision}}/{dataset}.parquet", dataset=DATASETS
        ),
    log:
        "logs/train_students/{family}/{revision}.log",
    benchmark:
        "benchmarks/runs/train_students/<study_name>/{family}/{revision}.tsv"
    priority: 40
    conda:
        "../../envs/torch.yaml"
    threads: config["activations"]["threads"]
    params:
        role="strong",
        name=of_role("strong", lambda wildcards: wildcards.model),
        model=of_role("strong", identity),
        students=lookup(dpath="students", within=config),
        heads=lookup(dpath="heads", within=config),
        intervals=lookup(dpath="intervals", within=config),
        content=of_role("strong", local_revision),
        kept=f"{STUDY}/kept_students/{{family}}/{{revision}}",
        recipe=recipes.STUDENTS,
    script:
        "../scripts/train_students.py"


use rule train_students as train_weak_students with:
    input:
        unpack(lesson_inputs("weak")),
    output:
        metrics=collect("<study>/weak_students/{{family}}/{{revision}}/{dataset}.parquet", dataset=DATASETS),
        predictions=collect(
            "<study>/weak_student_predictions/{{family}}/{{revision}}/{dataset}.parquet", dataset=DATASETS
        ),
    log:
        "logs/train_weak_students/{family}/{revision}.log",
    benchmark:
        "benchmarks/runs/train_weak_students/<study_name>/{family}/{revision}.tsv"
    params:
        role="weak",
        name=of_role("weak", lambda wildcards: wildcards.model),
        model=of_role("weak", identity),
        content=of_role("weak", local_revision),
        kept=f"{STUDY}/kept_weak_students/{{family}}/{{revision}}",
