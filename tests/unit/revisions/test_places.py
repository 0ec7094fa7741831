"""Revisions that do not lie in the branch of their name: another repository, a folder of it, a commit."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_hub_download

from tests.hub_branch import BIG, FILES, QUICK, REPO
from tests.hub_branch import server as server
from tests.unit.revisions.test_published import go_offline
from w2sg.revisions import access, offline, published
from w2sg.revisions.audit import audit_table
from w2sg.revisions.facts.descriptions import describe_folder
from w2sg.revisions.folders import RevisionError
from w2sg.revisions.scratch import Store
from w2sg.study.definitions import identity, shared_definitions
from w2sg.study.families import resolve_family
from w2sg.study.lists.models import place_of, revisions_of

EARLY = "owner/early"
INSIDE = {"runs/a": BIG[1:], "runs/b": BIG[2:]}


@pytest.fixture
def suite(server, tmp_path, monkeypatch) -> dict:
    """A model whose list names a branch of its own, one of another repository, two folders of one branch, and a commit."""
    server.branches[REPO]["main"] = FILES | {"model.safetensors": BIG[9:]}
    server.branches[REPO]["step9"] = FILES | {"model.safetensors": BIG[::-1]}
    server.branches[EARLY] = {"step0": FILES | {"model.safetensors": BIG[5:]}}
    for folder, weights in INSIDE.items():
        files = FILES | {"model.safetensors": weights}
        server.branches[REPO]["main"] |= {f"{folder}/{name}": content for name, content in files.items()}
    old = FILES | {"model.safetensors": BIG[7:]}
    server.branches[REPO]["was-step5"] = old
    rows = [
        f"step0\t0\t0\t{EARLY}\t-\t-", "step1\t1\t1\t-\t-\t-", "a\t2\t2\t-\truns/a\t{main}", "b\t3\t3\t-\truns/b\t{main}",
        "step5\t5\t5\t-\t-\t{old}", "step9\t9\t9\t-\t-\t-",
    ]  # fmt: skip
    commits = {"main": server.commit(REPO, "main"), "old": server.commit(REPO, "was-step5")}
    path = tmp_path / "list.tsv"
    header = "revision\tstep\ttokens_billion\trepo\tsubfolder\tcommit"
    path.write_text("\n".join([header, *(row.format(**commits) for row in rows)]) + "\n")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return {"source": "hub", "repo": REPO, "revisions": str(path), "dtype": "float32"}


WEIGHTS = {
    "step0": BIG[5:], "step1": BIG, "a": BIG[1:], "b": BIG[2:], "step5": BIG[7:], "step9": BIG[::-1],
}  # fmt: skip


def told(suite: dict, revision: str) -> dict:
    """What a job is told of a model and one of its revisions."""
    at = place_of(revision, revisions_of("m", suite, Path()), suite)
    return identity(suite) | ({"at": at} if at else {})


@pytest.mark.parametrize("revision", WEIGHTS)
def test_each_is_fetched_from_where_the_list_says(suite, tmp_path, revision):
    store = Store(root=tmp_path / "scratch", limit=1)
    with access.open_revision(told(suite, revision), revision, name="m", root=tmp_path, store=store) as folder:
        assert (folder.path / "model.safetensors").read_bytes() == WEIGHTS[revision]
        assert (folder.path / "config.json").read_bytes() == FILES["config.json"]
        assert (folder.path / "tokenizer.json").is_file()
        assert {path.name for path in folder.path.parent.iterdir()} == {folder.path.name}
    assert not (tmp_path / "scratch" / "m").exists()


def test_the_ticket_of_a_fetched_folder_leads_to_it(suite, tmp_path):
    store = Store(root=tmp_path / "scratch", limit=1)
    access.fetch_revision(told(suite, "b"), "b", name="m", store=store, ticket=tmp_path / "b.json")
    with access.take_ticket(tmp_path / "b.json", store) as folder:
        assert folder is not None and (folder.path / "model.safetensors").read_bytes() == WEIGHTS["b"]


def test_the_audit_asks_there_too_and_names_what_is_missing(suite, tmp_path):
    listed = revisions_of("m", suite, Path())
    places = {one.name: one.place for one in listed if one.place} | {"gone": {"subfolder": "runs/c", "commit": "main"}}
    names = [*(one.name for one in listed), "gone"]
    found = audit_table("m", published.ask_hub(REPO, names, label="audit", places=places, patience=QUICK))
    table = found.set_index("revision")
    hashes = {name: hashlib.sha256(weights).hexdigest() for name, weights in WEIGHTS.items()}
    assert table.loc[list(WEIGHTS), "weights_hash"].to_dict() == hashes
    assert not table.loc[list(WEIGHTS), "flagged"].any()
    assert table.loc["gone", "flagged"] and "runs/c/" in table.loc["gone", "reason"]


def test_a_folder_in_the_cache_is_used_without_a_network(suite, tmp_path, monkeypatch):
    listed = revisions_of("m", suite, Path())
    places = {one.name: one.place for one in listed if one.place}
    kept = tmp_path / "kept.json"
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        hf_hub_download(REPO, f"runs/a/{name}", revision=places["a"]["commit"])
    hf_hub_download(EARLY, "config.json", revision="step0")
    go_offline(monkeypatch)
    before = offline.source_of(REPO, ["a", "step0"], kept, places)
    store = Store(root=tmp_path / "scratch", limit=1)
    with access.open_revision(told(suite, "a"), "a", name="m", root=tmp_path, store=store) as folder:
        assert (folder.path / "model.safetensors").read_bytes() == WEIGHTS["a"]
        assert folder.commit == places["a"]["commit"]
    opened = access.open_revision(told(suite, "step0"), "step0", name="m", root=tmp_path, store=store)
    with pytest.raises(RevisionError, match=f"{EARLY} step0"), opened:
        pass
    answers = published.ask_hub(REPO, ["a", "step0"], label="audit", places=places, patience=QUICK)
    assert [(one.revision, bool(one.unknown)) for one in answers] == [("a", False), ("step0", True), ("main", True)]
    cached = next((tmp_path / "cache").glob("models--owner--early/snapshots/*/config.json"))
    cached.with_name("model.safetensors").write_bytes(b"x")
    assert offline.source_of(REPO, ["a", "step0"], kept, places) != before


def test_studies_whose_lists_lead_elsewhere_do_not_share_features(suite, tmp_path):
    config = {
        "models": {"m": suite, "w": {"source": "hub", "repo": "o/w"}},
        "families": {"f": {"strong": "m", "weak": "w"}},
        "sweep": {"datasets": []}, "datasets": {}, "corpora": {"c": {}}, "evaluation": {"corpus": "c"},
        "activations": {"layers": "final"},
    }  # fmt: skip
    features = shared_definitions(config, {"f": resolve_family("f", config, tmp_path)})["features"]
    assert features["m/step0"]["at"] == {"repo": EARLY}
    assert "at" not in features["m/step1"] and "at" not in features["w/main"]


TOKENIZER = "owner/words@v2"


@pytest.fixture
def bare(suite, server) -> dict:
    """A model whose branches have no tokenizer, or another one than the study wants; a repository has that one."""
    server.branches["owner/words"] = {"v2": {"tokenizer.json": WORDS, "config.json": b"{}"}}
    for revision, own in (("step1", False), ("step9", True)):
        files = server.branches[REPO][revision]
        server.branches[REPO][revision] = {k: v for k, v in files.items() if own or k != "tokenizer.json"}
    return suite | {"tokenizer": TOKENIZER}


WORDS = FILES["tokenizer.json"].replace(b"token1", b"word1")


def test_a_tokenizer_elsewhere_stands_in_the_place_of_the_branches_own(bare, tmp_path):
    store = Store(root=tmp_path / "scratch", limit=1)
    for revision in ("step1", "step9"):
        with access.open_revision(told(bare, revision), revision, name="m", root=tmp_path, store=store) as folder:
            assert (folder.path / "tokenizer.json").read_bytes() == WORDS
            assert (folder.path / "config.json").read_bytes() == FILES["config.json"]
    options = {"label": "audit", "patience": QUICK}
    known = published.ask_hub(REPO, ["step1", "step9"], tokenizer=TOKENIZER, **options)
    assert {one.description.fault for one in known} == {""}
    assert len({one.description.tokenizer for one in known}) == 1
    without = published.ask_hub(REPO, ["step1"], **options)
    assert "no tokenizer" in without[0].missing
    with pytest.raises(RevisionError, match="owner/words"):
        published.ask_hub(REPO, ["step1"], tokenizer="owner/words@v3", **options)


def test_a_tokenizer_elsewhere_is_used_without_a_network(bare, tmp_path, monkeypatch):
    for name in ("config.json", "model.safetensors"):
        hf_hub_download(REPO, name, revision="step1")
    go_offline(monkeypatch)
    store = Store(root=tmp_path / "scratch", limit=1)
    opened = access.open_revision(told(bare, "step1"), "step1", name="m", root=tmp_path, store=store)
    with pytest.raises(RevisionError, match="the tokenizer owner/words@v2 is not in the cache"), opened:
        pass
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hf_hub_download("owner/words", "tokenizer.json", revision="v2")
    go_offline(monkeypatch)
    access.fetch_revision(told(bare, "step1"), "step1", name="m", store=store, ticket=tmp_path / "t.json")
    with access.take_ticket(tmp_path / "t.json", store) as folder:
        assert folder is not None and (folder.path / "tokenizer.json").read_bytes() == WORDS
        assert (folder.path / "model.safetensors").read_bytes() == BIG
    (answer, _) = published.ask_hub(REPO, ["step1"], label="audit", tokenizer=TOKENIZER, patience=QUICK)
    assert answer.description.tokenizer and not answer.description.fault and not answer.unknown


def test_a_folder_takes_the_tokenizer_of_another(tmp_path):
    for name, files in {"step1": ("config.json", "model.safetensors"), "words": ("tokenizer.json",)}.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_bytes(FILES[file])
    assert "no tokenizer" in describe_folder(tmp_path / "step1").fault
    assert describe_folder(tmp_path / "step1", tokenizer=tmp_path / "words").fault == ""
    assert "none" in describe_folder(tmp_path / "step1", tokenizer=tmp_path / "none").fault
    model = {"source": "local", "path": str(tmp_path), "tokenizer": str(tmp_path / "words")}
    store = Store(root=tmp_path / "scratch", limit=1)
    with access.open_revision(model, "step1", name="m", root=tmp_path, store=store) as folder:
        found = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    assert found == {name: FILES[name] for name in ("config.json", "model.safetensors", "tokenizer.json")}
