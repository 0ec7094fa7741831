"""Several studies in one folder: they share what costs forward passes, keep the rest apart, and never mean different things by one name."""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.dag.conftest import ROOT, Workflow
from tests.dag.test_smoke import planned
from tests.dag.test_stale import costly
from w2sg.tables import schemas
from w2sg.tables.files import read_table


@pytest.fixture
def second(workflow) -> Workflow:
    """Another study in the same folder: one of the families, other heads."""
    config = copy.deepcopy(workflow.config)
    config |= {"study": "other", "sweep": {"families": ["olmo"], "datasets": ["mine"]}}
    config["heads"]["seeds"] = [5]
    return Workflow(folder=workflow.folder, config=config)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_second_study_extracts_nothing_and_changes_no_byte_of_the_first(workflow, second):
    before = contents(workflow.folder / "results")
    assert costly(planned(second)) == {"train_supervisor": 1, "train_heads": 2}
    second.run("--", "results/other/report.html")
    after = contents(workflow.folder / "results")
    assert {name: text for name, text in after.items() if not name.startswith("other/")} == before
    assert {name.split("/")[1] for name in after if name.startswith("other/")} >= {
        "metrics",
        "tables",
        "report.html",
    }
    left = second.run("-n")
    assert "results/other/figures/" in left and "results/smoke/" not in left
    assert planned(workflow) == {}
    # "Time" counts the study's own jobs: two of its heads, not the ten of the first study.
    report = (workflow.folder / "results" / "other" / "report.html").read_text()
    cost = report.rpartition("<!-- cost -->")[2].partition("<!-- /cost -->")[0]
    assert re.search(r"train heads</td>\s*<td[^>]*>2<", cost.replace("_", " ")), cost


def test_a_study_of_other_datasets_takes_nothing_from_the_first(workflow, second):
    """It measures the loss again, whose table says how texts were read: the first study still finds what it read."""
    made = workflow.folder / "results" / "smoke" / "tables"
    before = {name: (made / f"{name}.parquet").read_bytes() for name in ("readings", "audit")}
    second.config["datasets"]["more"] = second.config["datasets"]["mine"]
    second.config["sweep"]["datasets"] = ["more"]
    second.run("--", "results/other/tables/metrics.parquet", "results/other/tables/readings.parquet")
    assert "extract_activations" not in planned(workflow)
    workflow.run("--", "results/smoke/tables/readings.parquet", "results/smoke/tables/audit.parquet")
    assert {name: (made / f"{name}.parquet").read_bytes() for name in before} == before


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("models/olmo/dtype", "bfloat16", "models.olmo: dtype is 'bfloat16' here and 'float32' in study smoke"),
        ("datasets/mine/pairs", 20, "datasets.mine: pairs is 20 here and 24 in study smoke"),
        ("activations/max_tokens", 16, "features.olmo/step0: activations.max_tokens is 16 here and 32 in study smoke"),
        ("evaluation/documents", 2, "features.olmo/step0: evaluation.documents is 2 here and 3 in study smoke"),
        ("study", "activations", "study: 'activations' is a folder that all studies share"),
    ],
)
def test_a_study_that_means_something_else_by_a_name_is_refused(second, path, value, said):
    *sections, key = path.split("/")
    section = second.config
    for name in sections:
        section = section[name]
    section[key] = value
    text = second.run("-n", check=False)
    assert said in " ".join(text.split())


def test_seeds_reuse_the_model_that_is_there_and_share_the_supervisor(workflow):
    """Of two pre-training seeds one is the model itself: only the other is trained, and nobody teaches again."""
    workflow.config["families"]["smoke"]["seeds"] = [0, 1]
    jobs = planned(workflow)
    assert jobs["pretrain_family"] == 1
    assert jobs["extract_activations"] == 3
    assert jobs["train_heads"] == 2 * 3 * 2
    assert "train_supervisor" not in jobs
    assert jobs["correlate"] == jobs["summarize_sweep"] == jobs["write_report"] == 1


def test_a_check_makes_models_of_local_revisions_and_of_a_random_twin_without_their_numbers(workflow):
    runs = workflow.folder / "runs"
    tiny.save_revisions(runs, "llama", [8, 16, 32])
    for step in (8, 32):  # that of the twin, and one of two
        path = runs / f"step{step}" / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"vocab_size": 400}))
    listed = workflow.folder / "late.tsv"
    listed.write_text("revision\tstep\ttokens_billion\tsubfolder\na\t8\t1\tstep8\nb\t16\t2\tstep16\nc\t32\t3\tstep32\n")
    entry = {"source": "local", "dtype": "float32", "path": str(runs), "revisions": str(listed)}
    workflow.config["models"]["llama"] = entry
    workflow.config["families"]["llama"] |= {"weak": "small", "weak_revision": "last", "select": {"add": ["b", "c"]}}
    workflow.config["sweep"] = {"families": ["llama"], "datasets": ["mine", "posts"]}
    text = workflow.run("--quiet", "all", "--", "check", check=False)
    (line,) = [line for line in text.splitlines() if line.startswith("fault: models.llama")]
    assert (
        "revision a and 1 more revision: weights in its folder do not fit LlamaForCausalLM; shapes: lm_head.weight"
        in line
    )
    assert "ok: models.small: configuration, tokenizer and shapes of weights of 1 revision" in text


def test_a_family_without_step_0_begins_with_a_random_twin(workflow):
    listed = workflow.folder / "late.tsv"
    listed.write_text("revision\tstep\ttokens_billion\nstep8\t8\t0.001\n")
    workflow.config["models"]["olmo"] = {**workflow.config["models"]["olmo"], "revisions": str(listed)}
    workflow.config["sweep"] = {"families": ["olmo"], "datasets": ["mine", "posts"]}
    assert planned(workflow)["extract_activations"] == 1
    workflow.run()
    results = workflow.folder / "results"
    loss = read_table(results / "activations" / "olmo" / "random" / "loss.parquet", schemas.RESULTS)
    assert set(loss["commit"]) == {"random initialisation"}
    nats = loss.set_index("metric")["value"]["nats_per_token"]
    assert abs(nats - np.log(320)) < 0.5  # about as good as guessing among the tokens
    metrics = read_table(results / "smoke" / "tables" / "metrics.parquet", schemas.METRICS)
    rows = metrics[metrics["revision"] == "random"]
    assert set(rows["step"]) == set(rows["tokens"]) == {0}
    assert {"w2s", "ceiling", "probe"} <= set(rows["head"])
    assert "random" not in set(read_table(results / "smoke" / "tables" / "audit.parquet", schemas.AUDIT)["revision"])
    workflow.run("--", "verify")


def test_the_same_study_may_change_its_mind(workflow):
    workflow.config["activations"]["max_tokens"] = 16
    assert planned(workflow)["extract_activations"] == 7


@pytest.mark.parametrize(
    ("recipe", "reached"),
    [
        (
            "TOKENIZER",
            {"train_tokenizer": 1, "pretrain_family": 2, "extract_activations": 4, "train_heads": 6, "write_report": 1},
        ),
        ("PRETRAINING", {"pretrain_family": 2, "extract_activations": 4, "train_heads": 6, "write_report": 1}),
        ("HEADS", {"train_heads": 10, "write_report": 1}),
    ],
)
def test_a_raised_recipe_number_reaches_everything_that_is_made_of_it(workflow, tmp_path, recipe, reached):
    project = tmp_path / "project"
    for name in ("w2sg", "workflow", "config", "profiles", "resources", "envs"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(
            ROOT / name, (project.mkdir(exist_ok=True), project / name)[1]
        )
    recipes = project / "w2sg" / "study" / "recipes.py"
    raised = re.sub(
        rf"^{recipe} = (\d+)$", lambda found: f"{recipe} = {int(found[1]) + 1}", recipes.read_text(), flags=re.M
    )
    assert raised != recipes.read_text()
    recipes.write_text(raised)
    jobs = planned(workflow, "--snakefile", str(project / "workflow" / "Snakefile"))
    assert {name: count for name, count in jobs.items() if name in reached} == reached
    assert "fetch_pairs" not in jobs
