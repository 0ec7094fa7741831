"""When an audit is made again: with a fuller cache and with a network, but never in favour of a poorer one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import tiny
from tests.dag.conftest import Workflow, remote_study
from tests.hub_server import Hub, serving
from w2sg.tables import schemas
from w2sg.tables.files import read_table

TABLE = "results/smoke/tables/audit.parquet"


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    """A family of three revisions; step8 carries the weights of step64."""
    hub = Hub()
    tiny.save_revisions(tmp_path / "strong", "gpt_neox", [0, 64])
    for name, folder in {"step0": "step0", "step8": "step64", "step64": "step64", "main": "step64"}.items():
        hub.publish("owner/strong", name, tmp_path / "strong" / folder)
    hub.publish("owner/weak", "main", tmp_path / "strong" / "step0")
    config = remote_study(tmp_path, [0, 8, 64])
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with serving(hub) as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        yield Workflow(folder=tmp_path / "run", config=config)


def fill(repo: str, revision: str) -> None:
    code = f"from huggingface_hub import snapshot_download as get; get({repo!r}, revision={revision!r})"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def verdicts(workflow: Workflow) -> dict[str, str]:
    rows = read_table(workflow.folder / TABLE, schemas.AUDIT).query("model == 'remote'")
    kinds = (
        rows["flagged"].map({True: "flagged", False: "good"}).mask(rows["reason"].str.contains("unknown"), "unknown")
    )
    return dict(zip(rows["revision"], kinds, strict=True))


def test_an_audit_grows_with_the_cache_and_with_the_network_and_never_shrinks(workflow, monkeypatch):
    fill("owner/weak", "main")
    fill("owner/strong", "step8")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    workflow.run("--", TABLE)
    assert verdicts(workflow) == {"step0": "unknown", "step8": "good", "step64": "unknown"}
    assert "Nothing to be done" in workflow.run("-n", "--", TABLE)

    monkeypatch.delenv("HF_HUB_OFFLINE")
    fill("owner/strong", "step64")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    text = workflow.run("--", TABLE)
    assert "rule audit_revisions" in text
    assert "model=remote-weak" not in text  # its part of the cache is what it was
    assert verdicts(workflow) == {"step0": "unknown", "step8": "flagged", "step64": "good"}

    monkeypatch.delenv("HF_HUB_OFFLINE")
    workflow.run("--", TABLE)
    complete = {"step0": "good", "step8": "flagged", "step64": "good"}
    assert verdicts(workflow) == complete
    assert "Nothing to be done" in workflow.run("-n", "--", TABLE)

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(workflow.folder / "empty"))
    assert "Nothing to be done" in workflow.run("-n", "--", TABLE)
    workflow.run("--forceall", "--", TABLE)
    assert verdicts(workflow) == complete
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert "Nothing to be done" in workflow.run("-n", "--", TABLE)
