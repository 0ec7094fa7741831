"""A sweep of revisions on a (local) Hub: faults change nothing, the modes agree, nothing is left, wrong branches are named."""

from __future__ import annotations

import base64
import copy
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.torch import load_file

from tests import tiny
from tests.dag.conftest import ROOT, Workflow, remote_study
from tests.hub_server import Fault, Hub, Request, serving
from w2sg.tables import schemas
from w2sg.tables.files import read_table
from w2sg.tables.reading import READINGS
from w2sg.tables.schemas import PAIRS

STEPS = [0, 64]
EARLY = {0: "owner/early"}
"""The first step lies in a repository of its own, as OLMo-2's do."""
TOKEN = "hf_" + "SecretOfTheUser" * 2


@pytest.fixture(scope="module")
def remote(tmp_path_factory, finished):
    """A Hub with the suite that the tiny study pre-trained; a branch step16 carries step64's weights and a foreign tokenizer."""
    folder, hub = tmp_path_factory.mktemp("published"), Hub()
    trained = finished.folder / "results" / "pretrained"
    for step in STEPS:
        hub.publish(EARLY.get(step, "owner/strong"), f"step{step}", trained / "smoke-strong" / f"step{step}")
    early = hub.branches["owner/early"]["step0"]
    hub.branches["owner/strong"]["step16"] = {
        **early,
        "tokenizer.json": with_two_ids_exchanged(early["tokenizer.json"]),
        "model.safetensors": hub.branches["owner/strong"]["step64"]["model.safetensors"],
    }
    weak = shutil.copytree(trained / "smoke-weak" / "step64", folder / "weak")
    tiny.save_weights(load_file(weak / "model.safetensors"), weak, kind="bin")
    (weak / "model.safetensors").unlink()
    hub.publish("owner/weak", "main", weak)
    with serving(hub) as endpoint:
        yield hub, endpoint


def with_two_ids_exchanged(content: bytes) -> bytes:
    """A tokenizer of the same size that makes other ids of nearly every text."""
    made = json.loads(content)
    ids = made["model"]["vocab"]
    ids["e"], ids["t"] = ids["t"], ids["e"]
    return json.dumps(made).encode()


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
    config = remote_study(tmp_path, [*STEPS, 16], elsewhere=EARLY)
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
        if rng.uniform() > share:
            return None
        met.append(request)
        if "/api/" in request.path or request.method == "HEAD":  # a flipped letter of a listing is TLS's to notice
            return Fault(**kinds[int(rng.integers(4))], at=float(rng.uniform()))
        return Fault(**kinds[int(rng.integers(len(kinds)))], at=float(rng.uniform()))

    return fault, met


def test_faults_the_mode_and_a_cache_change_nothing(workflow, remote, finished, monkeypatch):
    hub, _ = remote
    hub.fault, met = faulty(seed=5, share=0.2)
    workflow.config["fetch"]["mode"] = "split"
    workflow.run("--cores", "3", "--", "results/smoke/report.html")
    assert len(met) > 0.1 * len(hub.requests)
    assert {request.method for request in met} == {"GET", "HEAD"}
    assert not left_behind(workflow)
    assert_equal_to_the_local_sweep(workflow, finished)
    assert any(TOKEN in (request.token or "") for request in hub.requests)
    assert holding(workflow.folder.parent, TOKEN) == []

    audit = read_table(workflow.folder / "results/smoke/tables/audit.parquet", schemas.AUDIT).set_index("revision")
    assert list(audit.index[audit["flagged"]]) == ["step16"]
    assert audit.loc["step16", "duplicate_of"] == "step64"
    assert "its tokenizer is not that of step0 and 1 more revision" in audit.loc["step16", "reason"]
    readings = read_table(workflow.folder / "results/smoke/tables/readings.parquet", READINGS)
    read = readings.query("model == 'remote'").set_index("revision")
    assert read.loc["step0", "ids"] == read.loc["step64", "ids"] != read.loc["step16", "ids"]
    assert read.loc["step0", "first_ids"] != read.loc["step16", "first_ids"]
    metrics = read_table(workflow.folder / "results/smoke/tables/metrics.parquet", schemas.METRICS)
    carried = metrics.groupby(["model", "revision"])["commit"].unique()
    assert set(carried.index) == {("remote-weak", "main"), *(("remote", f"step{step}") for step in [*STEPS, 16])}
    published = [
        ("owner/weak", "main"),
        ("owner/early", "step0"),
        ("owner/strong", "step16"),
        ("owner/strong", "step64"),
    ]
    repos = {revision: repo for repo, revision in published}
    for (_, revision), commits in carried.items():
        assert list(commits) == [hub.commit(repos[revision], revision)]
    excluded = pd.read_csv(workflow.folder / "results/smoke/tables/excluded.csv")
    assert list(excluded["revision"]) == ["step16"]
    for name in ("tables/summary.txt", "report.html"):
        told = (workflow.folder / "results/smoke" / name).read_text()
        assert re.search("step16.*equal to those of step64; .*its tokenizer is not that of step0 and 1 more", told)
    assert "2 of 3 with these ids; other ids: step16" in told
    report = "results/smoke/report.html"
    assert "Nothing to be done" in workflow.run("-n", "--", report)
    workflow.config["fetch"]["mode"] = "fused"
    assert "Nothing to be done" in workflow.run("-n", "--rerun-triggers", "mtime", "params", "--", report)

    hub.fault = lambda request: None
    assert_one_download_serves_features_and_students(workflow, hub)
    for repo, revision in published:
        fill = f"from huggingface_hub import snapshot_download as get; get({repo!r}, revision={revision!r})"
        subprocess.run([sys.executable, "-c", fill], check=True, capture_output=True)
    hub.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    offline = Workflow(folder=workflow.folder.parent / "offline", config=workflow.config)
    offline.folder.mkdir()
    features = "results/activations/remote/step64/mine.safetensors"
    offline.run("--", features)
    assert not hub.requests
    assert not left_behind(offline)
    assert (offline.folder / features).read_bytes() == (workflow.folder / features).read_bytes()


def assert_one_download_serves_features_and_students(workflow: Workflow, hub: Hub) -> None:
    """In fused mode too; the snapshot is gone when its last reader is done."""
    before = copy.deepcopy(workflow.config)
    workflow.config["students"] = {"kinds": ["linear", "full"], "learning_rates": {"full": [1.0e-3]}}
    shutil.rmtree(workflow.folder / "results/activations/remote/step64")
    hub.requests.clear()
    students = "results/smoke/students/remote/step64/mine.parquet"
    workflow.run("--", students)
    weights = [r.path for r in hub.requests if r.method == "GET" and r.path.endswith(".safetensors")]
    assert len(weights) == len(set(weights)) > 0
    assert not left_behind(workflow)
    rows = read_table(workflow.folder / students, schemas.RESULTS)
    assert {"ceiling", "w2s", "permuted"} == set(rows["head"])
    workflow.config.clear()
    workflow.config.update(before)


def assert_equal_to_the_local_sweep(swept: Workflow, local: Workflow) -> None:
    """The same weights give the same numbers, whether they come over the network or were trained here."""
    keys = ["step", "dataset", "tested_on", "layer", "head", "protocol", "setting", "seed", "metric"]
    here, there = (
        read_table(workflow.folder / "results/smoke/tables/metrics.parquet", schemas.METRICS)
        .query("family == @family")
        .set_index(keys)
        for workflow, family in ((local, "smoke"), (swept, "remote"))
    )
    shared = there.index.intersection(here.index)
    assert {step for step, *_ in shared} == {0, 64}
    assert len(shared) > 0.5 * len(there)
    estimate = ["value", "low", "high", "n"]
    pd.testing.assert_frame_equal(here.loc[shared, estimate], there.loc[shared, estimate], check_exact=True)


def test_the_papers_datasets_and_evaluation_text_are_read_from_the_hub(workflow, remote):
    hub, _ = remote
    workflow.config["sweep"]["datasets"] = ["hh_helpful", "cai_harmless"]
    for name in workflow.config["sweep"]["datasets"]:
        workflow.config["datasets"][name] = {"pairs": 8}
    questions = [f"What is {number}?" for number in range(40)]
    dialogue = "\n\nHuman: {}\n\nAssistant: {}"
    rows = [{side: dialogue.format(q, side) for side in ("chosen", "rejected")} for q in questions]
    rows.append({side: dialogue.format("Again?", "Yes.") + dialogue.format("And?", side) for side in rows[0]})
    lines = gzip.compress("\n".join(map(json.dumps, rows)).encode())
    shipped = yaml.safe_load((ROOT / "config" / "datasets.yaml").read_text())
    hub.branches["datasets/Anthropic/hh-rlhf"] = {
        shipped["datasets"]["hh_helpful"]["revision"]: {
            "README.md": b"# rows",
            "helpful-base/train.jsonl.gz": lines,
            "helpful-base/test.jsonl.gz": lines,
        }
    }
    turns = [
        {
            side: [{"role": "user", "content": q}, {"role": "assistant", "content": side}]
            for side in ("chosen", "rejected")
        }
        for q in questions
    ]
    pd.DataFrame(turns).to_parquet(packed := io.BytesIO())
    hub.branches["datasets/HuggingFaceH4/cai-conversation-harmless"] = {
        "main": {"README.md": b"# rows", "data/train_prefs-00000-of-00001.parquet": packed.getvalue()}
    }
    spec = shipped["corpora"]["c4_news"]
    pages = "".join(json.dumps({"text": f"Page {number}.", "url": "u"}) + "\n" for number in range(5))
    configs = "configs: [{config_name: en, data_files: [{split: train, path: en/*.json.gz}]}]"
    hub.branches["datasets/allenai/c4"] = {
        spec["revision"]: {
            "README.md": f"---\n{configs}\n---\n".encode(),
            "en/c4-train.json.gz": b"damaged",
            spec["file"]: gzip.compress(pages.encode()),
        }
    }
    workflow.config["evaluation"] = {"corpus": "c4_news", "documents": 5}
    hub.fault, met = faulty(seed=2, share=0.1)
    made = [Path(f"resources/pairs/{name}.parquet") for name in workflow.config["sweep"]["datasets"]]
    text = "resources/corpora/c4_news.parquet"
    workflow.run(
        "--cores", "1", "--", *map(str, made), text
    )  # one after the other: which request fails depends on its number
    assert met
    documents = read_table(workflow.folder / text, schemas.DOCUMENTS)
    assert documents["text"].tolist() == [f"Page {number}." for number in range(5)]
    for path in made:
        pairs = read_table(workflow.folder / path, PAIRS)
        assert pairs.groupby("split").size().tolist() == [8, 8, 8]
        assert set(pairs["prompt"]) <= {f"\n\nHuman: {q}\n\nAssistant:" for q in questions}
        assert set(pairs["chosen"]) == {" chosen"}
        assert set(pairs["rejected"]) == {" rejected"}


def without_configuration(files: dict[str, bytes]) -> dict[str, bytes]:
    """Refused before it is fetched."""
    return {name: content for name, content in files.items() if name != "config.json"}


def with_another_width(files: dict[str, bytes]) -> dict[str, bytes]:
    """Weights that do not fit its configuration: the extraction fails, and finds its input when it is repeated."""
    wide = json.loads(files["config.json"]) | {"intermediate_size": 48}
    return files | {"config.json": json.dumps(wide).encode()}


def test_broken_revisions_stop_themselves_only_and_are_fetched_again(workflow, remote):
    published = remote[0].branches["owner/strong"]
    whole = dict(published)
    workflow.config["fetch"]["mode"] = "split"
    steps = {"step0": None, "step16": without_configuration, "step64": with_another_width}
    targets = ["--cores", "1", "--", *(f"results/activations/remote/{name}/loss.parquet" for name in steps)]
    try:
        published |= {name: spoil(whole[name]) for name, spoil in steps.items() if spoil}
        text = workflow.run("--retries", "1", *targets, check=False)
    finally:
        published |= whole
    reasons = ["config.json is missing", "owner/strong step16"]
    reasons += ["do not fit GPTNeoXForCausalLM", "run snakemake again to fetch it"]
    assert [reason for reason in reasons if reason not in text] == []
    assert not left_behind(workflow)
    measured = workflow.folder.glob("results/activations/*/*/loss.parquet")
    assert {path.parent.name for path in measured} == {"step0"}
    workflow.run(*targets)
    assert not left_behind(workflow)
