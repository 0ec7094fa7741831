"""The whole DAG on tiny models: results are whole, reruns do nothing, changes rerun exactly their descendants."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

from tests.dag.conftest import ROOT, Workflow
from tests.results_layout import schema_of
from w2sg.activations.features import open_features
from w2sg.report.catalogue import FIGURES
from w2sg.runtime import machine
from w2sg.runtime.files import file_sha256
from w2sg.study.sections import Activations
from w2sg.tables import schemas
from w2sg.tables.files import read_provenance, read_table
from w2sg.tables.origins import read_origin
from w2sg.trajectories.selection import own_rows

AGGREGATES = dict.fromkeys(
    [
        "collect_audit",
        "collect_metrics",
        "correlate",
        "summarize_sweep",
        "write_report",
        "all",
    ],
    1,
)


def planned(workflow: Workflow, *arguments: str) -> dict[str, int]:
    """Jobs per rule that a dry run plans."""
    text = workflow.run("-n", "-q", "rules", *arguments)
    if "Nothing to be done" in text:
        return {}
    stats = text.split("Job stats:")[-1].split("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", stats, flags=re.M)}


def test_every_metric_is_there_and_finite(finished):
    metrics = read_table(finished.folder / "results" / "smoke" / "tables" / "metrics.parquet", schemas.METRICS)
    assert set(metrics["family"]) == {"smoke", "olmo"}
    assert set(metrics["dataset"]) == {"mine", "posts", "tiny"}
    controls = {"weak_on_weak", "permuted", "probe_length", "probe_random"}
    predictors = {"probe", "probe_plain", "subspace", "model"}
    assert set(metrics["head"]) - {"probe_group"} == {"w2s", "ceiling", "weak", "floor", *predictors, *controls}
    assert set(metrics.loc[metrics["tested_on"] != metrics["dataset"], "head"]) == {"w2s", "ceiling", "weak"}
    undefined = metrics["metric"] == "pgr"
    assert np.isfinite(metrics.loc[~undefined, "value"]).all()
    assert metrics.loc[metrics["metric"] == "accuracy", "value"].between(0, 1).all()
    smoke = metrics[(metrics["family"] == "smoke") & (metrics["head"] == "w2s")]
    assert sorted(smoke["step"].unique()) == [0, 8, 64]
    assert sorted(smoke["layer"].unique()) == [0, 1, 2]
    assert set(smoke["setting"]) == {"lr=1e-05", "lr=0.01", "selected", "cv"}
    olmo = metrics[(metrics["family"] == "olmo") & (metrics["step"] == 8)]
    assert olmo["tokens"].iloc[0] == pytest.approx(8 * 128 / 1e9)


def test_pgr_is_null_unless_the_ceiling_beats_the_supervisor(finished):
    table = read_table(finished.folder / "results" / "smoke" / "tables" / "metrics.parquet", schemas.METRICS)
    metrics = own_rows(table)
    key = ["family", "step", "dataset", "layer", "protocol", "setting", "seed"]
    accuracy = metrics[metrics["metric"] == "accuracy"]
    top = accuracy[accuracy["head"] == "ceiling"].set_index(key)["value"]
    pgr = metrics[metrics["metric"] == "pgr"].set_index(key)["value"]
    own = accuracy[accuracy["head"] == "w2s"].set_index(key)["value"]
    gain = metrics[(metrics["metric"] == "gain") & (metrics["head"] == "w2s")].set_index(key)["value"]
    weak = own - gain
    assert (pgr.notna() == (top > weak + 1e-12)[pgr.index]).all()


def test_the_report_and_figures_are_there_and_the_log_shows_progress(finished):
    assert '<h2 id="answer">Answer</h2>' in (finished.folder / "results" / "smoke" / "report.html").read_text()
    assert len(list((finished.folder / "results" / "smoke" / "figures").rglob("*.svg"))) == 4 * len(FIGURES)
    log = (finished.folder / "logs" / "pretrain_family" / "smoke-strong.log").read_text()
    assert re.search(r"tokens/s · loss [\d.]+", log)


def test_every_file_has_a_row_in_the_readme_and_every_table_its_schema(finished):
    results = finished.folder / "results"
    files = [path for path in results.rglob("*") if path.is_file()]
    names = [str(path.relative_to(results)) for path in files]
    unknown = [name for name in names if schema_of(name) is None and not re.search(r"(^|/)\.", name)]
    assert unknown == []
    for path, name in zip(files, names, strict=True):
        if path.suffix == ".parquet":
            assert read_provenance(path)["table"] == schema_of(name), name


@pytest.mark.parametrize("name", ["report.html", "report.zip"])
def test_snakemakes_own_report_has_categories_labels_and_captions(finished, tmp_path, name):
    finished.run("--report", str(tmp_path / name))
    if name.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            text = "".join(
                archive.read(item).decode() for item in archive.namelist() if item.endswith((".html", ".js"))
            )
    else:
        text = (tmp_path / name).read_text()
    for category in {figure.category for figure in FIGURES.values()} | {"Answer"}:
        assert category in text
    assert all(figure.title in text for figure in FIGURES.values())
    assert "Share of the gap between supervisor and ceiling that the W2SG head of olmo on" in text


def test_a_second_run_and_a_touched_script_do_nothing(workflow):
    assert planned(workflow) == {}
    script = ROOT / "workflow" / "scripts" / "extract_activations.py"
    script.touch()
    assert planned(workflow) == {}


def test_an_added_revision_plans_exactly_its_jobs(workflow):
    workflow.config["families"]["smoke"]["select"]["add"] = ["step32", "step64"]
    assert planned(workflow) == {
        "extract_activations": 1, "train_heads": 2, "collect_family": 1, "collect_readings": 1, "plot_figures": 4, **AGGREGATES,
    }  # fmt: skip
    table = "results/smoke/tables/metrics.parquet"
    workflow.run("--", table)
    metrics = pd.read_parquet(workflow.folder / table)
    assert 32 in set(metrics.loc[metrics["family"] == "smoke", "step"])


def test_one_core_and_more_published_revisions_change_no_result(workflow):
    workflow.config["models"]["smoke-strong"]["pretraining"]["save_every"] = 8
    workflow.config["families"]["smoke"]["select"] = {"first": 1, "add": ["step8", "step64"]}
    assert planned(workflow)["extract_activations"] == 3  # the training's list is new, so its revisions are run again
    before = workflow.tables()
    # A lost intermediate goes unnoticed while what was made of it is there, so that goes too.
    heads = "results/smoke/metrics/smoke/step64/posts.parquet"
    for lost in ("pretrained/smoke-strong", "activations/smoke-strong/step64"):
        shutil.rmtree(workflow.folder / "results" / lost)
    (workflow.folder / heads).unlink()
    workflow.run("--cores", "1", "--", heads)
    after = workflow.tables()
    assert after == before


def test_a_failing_job_leaves_its_traceback_and_its_reason(workflow):
    weights = next(workflow.folder.glob("results/pretrained/smoke-strong/step8/model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    features = workflow.folder / "results" / "activations" / "smoke-strong" / "step8"
    shutil.rmtree(features)
    shutil.rmtree(workflow.folder / "results" / "smoke" / "metrics" / "smoke" / "step8")
    text = workflow.run(check=False)
    assert "SHA-256 differs" in text
    log = (workflow.folder / "logs" / "extract_activations" / "smoke-strong" / "step8.log").read_text()
    assert "Traceback" in log
    assert "RevisionError" in log


def test_lint_is_clean():
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow" / "Snakefile"), "--lint"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_model_goes_to_the_device_that_its_job_claimed(finished, tmp_path, monkeypatch):
    """On a machine with several GPUs the first one is taken; here the claim says what to use instead of a GPU that is not there."""
    monkeypatch.syspath_prepend(str(ROOT / "workflow" / "scripts"))
    import extract_activations

    monkeypatch.setattr(machine, "pick_device", lambda wanted: "cuda")
    monkeypatch.setattr(machine, "claim_device", lambda device: contextlib.nullcontext({"cuda": "cpu"}[device]))
    here, made = finished.folder, tmp_path / "mine.safetensors"
    extract_activations.main(
        name="smoke-strong",
        revision="step8",
        model=finished.config["models"]["smoke-strong"] | {"dtype": "float32"},
        pairs={"mine": str(here / "resources/pairs/mine.parquet")},
        entries={"mine": finished.config["datasets"]["mine"]},
        documents=str(next((here / "resources/corpora").glob("*.parquet"))),
        trained=[],
        features={"mine": str(made)},
        loss=str(tmp_path / "loss.parquet"),
        activations=Activations(**finished.config["activations"]).model_dump(),
        evaluation={"corpus": "tiny", "documents": 3},
        root=str(here / "results/pretrained/smoke-strong"),
        config={
            "scratch": str(tmp_path),
            "fetch": {"snapshots": 1},
            "students": {"kinds": ["linear"]},
            "probe": {"test_fraction": 0.2},
        },
        ticket=None,
        recipe=0,
        log=str(tmp_path / "log"),
    )
    assert open_features(made).width == 32
    weights = here / "results/pretrained/smoke-strong/step8/model.safetensors"
    assert read_origin(tmp_path / "loss.parquet")["weights"] == {weights.name: file_sha256(weights)}
