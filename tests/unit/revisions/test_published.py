"""What an audit knows without a network: the Hub's earlier answers, the cache with and without links, and what neither says."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_hub_download

from tests.hub_branch import BIG, FILES, QUICK, REPO
from tests.hub_branch import server as server
from w2sg.revisions import access, hub, offline, published
from w2sg.revisions.audit import audit_table
from w2sg.revisions.offline import Published
from w2sg.revisions.scratch import Store

OTHER = BIG[::-1]
STEPS = ["step1", "step2", "step8"]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def branches(server, tmp_path, monkeypatch):
    """step2 carries the weights of step8, in the old format alone; step8 and main hold them in both."""
    final = {"model.safetensors": OTHER, "pytorch_model.bin": BIG[:9000]}
    server.branches[REPO] |= {
        "step2": {name: FILES[name] for name in ("config.json", "tokenizer.json")}
        | {"pytorch_model.bin": final["pytorch_model.bin"]},
        "step8": FILES | final,
        "main": FILES | final,
    }
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return server


def fill(server, *revisions: str) -> None:
    for revision in revisions:
        for name in server.branches[REPO][revision]:
            hf_hub_download(REPO, name, revision=revision)


def go_offline(monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def audited(kept: Path):
    """What the rule does, as a table by revision."""
    earlier = offline.read_answers(kept, REPO)
    known = published.ask_hub(REPO, STEPS, label="audit", earlier=earlier, patience=QUICK)
    published.keep_answers(kept, REPO, known, earlier=earlier)
    return audit_table("m", known).set_index("revision")


def test_formats_are_compared_with_each_other(branches, tmp_path):
    table = audited(tmp_path / "m.json")
    assert list(table.index[table["flagged"]]) == ["step2"]
    assert table.loc["step2", "reason"].startswith("weights equal to those of step8")
    assert table.loc["step8", "weights_hash"] == hashlib.sha256(OTHER).hexdigest()
    assert table.loc["step8", "bytes"] == len(OTHER)


def test_what_is_not_cached_is_unknown_and_learned_step_by_step(branches, tmp_path, monkeypatch):
    kept = tmp_path / "m.json"
    fill(branches, "step2")
    (folder,) = (tmp_path / "cache").glob("models--*/snapshots/*")
    hf_hub_download(REPO, "config.json", revision="step1")  # without its weights
    go_offline(monkeypatch)
    table = audited(kept)
    assert not table["flagged"].any()
    assert "unknown" in table.loc["step8", "reason"]
    assert "HF_HUB_OFFLINE is set: it is not in the local cache" in table.loc["step8", "reason"]
    assert "unknown" in table.loc["step1", "reason"]
    assert table.loc["step2", "reason"] == ""

    # To save disk the first revisions go before the next ones come; what is known of them stays known.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    shutil.rmtree(folder.parents[1])
    fill(branches, "step1", "step8")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    table = audited(kept)
    assert list(table.index[table["flagged"]]) == ["step2"]
    assert set(table.drop("step2")["reason"]) == {""}


def test_a_cache_without_links_is_hashed(branches, tmp_path, monkeypatch):
    fill(branches, *STEPS, "main")
    linked = tmp_path / "cache"
    plain = linked.rename(tmp_path / "linked")
    shutil.copytree(plain, linked, symlinks=False)
    assert not any(path.is_symlink() for path in linked.rglob("*"))
    online = audited(tmp_path / "online.json")
    go_offline(monkeypatch)
    assert audited(tmp_path / "offline.json").equals(online)


def test_what_the_hub_said_outlives_the_network(branches, tmp_path, monkeypatch):
    online = audited(tmp_path / "m.json")
    fill(branches, "step1")
    go_offline(monkeypatch)
    assert audited(tmp_path / "m.json").equals(online)
    assert offline.read_answers(tmp_path / "m.json", "owner/other") == {}
    (tmp_path / "m.json").write_text('{"repo": "owner/model", "answers": {"step1": {"strange": 1}}}')
    assert offline.read_answers(tmp_path / "m.json", REPO) == {}


def test_an_audit_is_made_again_when_it_can_say_more(branches, tmp_path, monkeypatch):
    kept = tmp_path / "m.json"

    def source() -> str:
        return offline.source_of(REPO, STEPS, kept)

    assert source() == offline.HUB
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    empty = source()
    assert empty.startswith("cache ")
    fill(branches, "step1")
    one = source()
    assert one not in (empty, offline.HUB)
    assert source() == one
    fill(branches, "step2")
    assert source() not in (empty, one)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    audited(kept)  # by now the Hub answered
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert source() == offline.HUB
    answers = offline.read_answers(kept, REPO)
    published.keep_answers(
        kept, REPO, [Published(revision="step2", hashes={"x": "y"}, origin="cache")], earlier=answers
    )
    assert source().startswith("cache ")
    kept.write_text("{")
    assert source().startswith("cache ")


@pytest.mark.parametrize(
    "variables",
    [
        {"HF_HUB_OFFLINE": "1"},
        {"HF_HUB_OFFLINE": "yes", "HF_HUB_CACHE": "~/x"},
        {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1", "HF_HOME": "$HOME/h"},
        {"HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": "True", "XDG_CACHE_HOME": "/xdg"},
        {"HUGGINGFACE_HUB_CACHE": "/old"},
        {},
    ],
)
def test_the_plan_reads_the_variables_as_the_client_does(variables):
    code = (
        "from w2sg.revisions import offline; print(offline.is_offline(), offline.cache_root());"
        "from huggingface_hub import constants as c; print(c.is_offline_mode(), c.HF_HUB_CACHE)"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE_", "XDG_", "TRANSFORMERS_"))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=kept | variables, check=True)
    ours, theirs = done.stdout.splitlines()
    assert ours == theirs


def test_the_plan_needs_the_standard_library_only():
    code = "import sys; import w2sg.revisions.offline; print({'pandas', 'numpy', 'huggingface_hub', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "set()"


def test_a_cached_revision_is_hashed_once(branches, tmp_path, monkeypatch):
    fill(branches, "step1")
    go_offline(monkeypatch)
    read = []
    plain = hub.file_sha256
    monkeypatch.setattr(hub, "file_sha256", lambda path: read.append(path.name) or plain(path))
    model, store = {"source": "hub", "repo": REPO}, Store(root=tmp_path / "scratch", limit=1)
    with access.open_revision(model, "step1", name="m", root=tmp_path, store=store) as folder:
        assert folder.commit == branches.commit(REPO, "step1")
        assert folder.path.name == folder.commit
    assert sorted(read) == ["model.safetensors", "tokenizer.json"]
