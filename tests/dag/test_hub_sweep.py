"""A sweep of revisions on a (local) Hub: faults change nothing, the modes agree, nothing is left, wrong branches are named."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tests.dag.conftest import Workflow, study
from tests.hub_server import Fault, Hub, Request, serving
from w2sg import schemas, tables

STEPS = [0, 8, 16]
TOKEN = "hf_" + "SecretOfTheUser" * 2


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    """A Hub with two models; the branch step0 carries the weights of step16."""
    folder, hub = tmp_path_factory.mktemp("published"), Hub()
    tiny.save_revisions(folder / "strong", "gpt_neox", STEPS, width=32)
    tiny.save_revisions(folder / "weak", "gpt_neox", [8], weights="bin")
    shutil.copy(folder / "strong/step16/model.safetensors", folder / "strong/step0/model.safetensors")
    for step in STEPS:
        hub.publish("owner/strong", f"step{step}", folder / "strong" / f"step{step}")
    hub.publish("owner/weak", "main", folder / "weak" / "step8")
    with serving(hub) as endpoint:
        yield hub, endpoint


@pytest.fixture
def workflow(remote, tmp_path, monkeypatch) -> Workflow:
    hub, endpoint = remote
    hub.requests.clear()
    hub.fault = lambda request: None
    for name, value in {
        "HF_ENDPOINT": endpoint,
        "HF_HUB_DOWNLOAD_TIMEOUT": "1",
        "HF_TOKEN": TOKEN,
        "HF_HOME": str(tmp_path / "hf"),
    }.items():
        monkeypatch.setenv(name, value)
    listed = tmp_path / "strong.tsv"
    listed.write_text("revision\tstep\ttokens_billion\n" + "".join(f"step{step}\t{step}\t{step}\n" for step in STEPS))
    config = study(tmp_path / "inputs")
    config["models"] |= {
        "remote": {"source": "hub", "dtype": "float32", "repo": "owner/strong", "revisions": str(listed)},
        "remote-weak": {"source": "hub", "dtype": "float32", "repo": "owner/weak"},
    }
    config["heads"] |= {"seeds": [0]}
    config["families"] = {"remote": {"strong": "remote", "weak": "remote-weak", "weak_revision": "main"}}
    config["sweep"] = {"families": ["remote"], "datasets": ["mine"]}
    config["fetch"] = {"snapshots": 2}
    (tmp_path / "run").mkdir()
    return Workflow(folder=tmp_path / "run", config=config)


def left_behind(workflow: Workflow) -> list[str]:
    places = [*workflow.folder.glob("scratch/*"), *workflow.folder.glob("results/snapshots/*/*")]
    return [str(path) for path in places if path.name != ".admission.lock"]


def holding(folder: Path, secret: str) -> list[Path]:
    """Files that hold a secret as it is or as base64, Snakemake's own logs and records among them."""
    forms = [secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")[:-2]]
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if any(form in path.read_bytes() for form in forms)]


def faulty(seed: int, share: float):
    """Every fifth answer is late, cut, damaged or refused; which one depends on the request alone."""
    kinds = [
        {"kind": "status", "status": 429, "headers": {"Retry-After": "1"}}, {"kind": "status", "status": 500},
        {"kind": "cut"}, {"kind": "stall", "seconds": 1.5}, {"kind": "flip"}, {"kind": "short"},
    ]  # fmt: skip
    met = []

    def fault(request: Request) -> Fault | None:
        rng = np.random.default_rng([seed, request.number])
        if request.method == "HEAD" or rng.uniform() > share:
            return None
        met.append(request)
        if "/api/" in request.path:  # a flipped letter of a listing is TLS's to notice
            return Fault(**kinds[int(rng.integers(4))], at=float(rng.uniform()))
        return Fault(**kinds[int(rng.integers(len(kinds)))], at=float(rng.uniform()))

    return fault, met


def test_faults_and_the_mode_change_nothing(workflow, remote):
    hub, _ = remote
    clean = Workflow(folder=workflow.folder.parent / "clean", config=workflow.config)
    clean.folder.mkdir()
    clean.run("--", "results/tables/metrics.parquet", "results/tables/audit.parquet")
    assert not left_behind(clean)

    hub.fault, met = faulty(seed=5, share=0.2)
    hub.requests.clear()
    workflow.config["fetch"]["mode"] = "split"
    workflow.run()
    assert len(met) > 0.1 * len(hub.requests)
    assert not left_behind(workflow)
    assert clean.tables().items() <= workflow.tables().items()
    assert any(TOKEN in (request.token or "") for request in hub.requests)
    assert holding(workflow.folder.parent, TOKEN) == []

    audit = tables.read_table(workflow.folder / "results/tables/audit.parquet", schemas.AUDIT).set_index("revision")
    assert list(audit.index[audit["flagged"]]) == ["step0"]
    assert audit.loc["step0", "duplicate_of"] == "step16"
    metrics = tables.read_table(workflow.folder / "results/tables/metrics.parquet", schemas.METRICS)
    assert metrics.loc[metrics["revision"] == "step8", "commit"].unique() == [hub.commit("owner/strong", "step8")]
    assert "step0" in set(metrics["revision"])
    excluded = pd.read_csv(workflow.folder / "results/tables/excluded.csv")
    assert list(excluded["revision"]) == ["step0"]
    for name in ("tables/summary.txt", "report.html"):
        assert re.search("step0.*equal to those of step16", (workflow.folder / "results" / name).read_text())
    assert "Nothing to be done" in workflow.run("-n")
    workflow.config["fetch"]["mode"] = "fused"
    assert "Nothing to be done" in workflow.run("-n", "--rerun-triggers", "mtime", "params")


def test_a_broken_revision_stops_itself_only_and_is_fetched_again(workflow, remote):
    hub, _ = remote
    weights = hub.branches["owner/strong"]["step8"]
    hub.branches["owner/strong"]["step8"] = {n: c for n, c in weights.items() if n != "config.json"}
    workflow.config["fetch"]["mode"] = "split"
    targets = ["--cores", "1", "--", *(f"results/activations/remote/step{step}/loss.parquet" for step in STEPS)]
    try:
        text = workflow.run(*targets, check=False)
    finally:
        hub.branches["owner/strong"]["step8"] = weights
    assert "config.json is missing" in text
    assert "owner/strong step8" in text
    assert not left_behind(workflow)
    assert {path.parent.name for path in workflow.folder.glob("results/activations/*/*/loss.parquet")} == {
        "step0",
        "step16",
    }
    workflow.run(*targets)
    assert not left_behind(workflow)
