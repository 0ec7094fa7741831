"""Which files of a branch are wanted: one weight format, whole sets of shards, and for the audit the listing alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.hub_branch import FILES, QUICK, REPO, fetch
from tests.hub_branch import server as server
from w2sg.revisions import hub, published
from w2sg.revisions.audit import audit_table
from w2sg.revisions.folders import RevisionError

RNG = np.random.default_rng(4)


def shards(kind: str, count: int, *, without: tuple[int, ...] = ()) -> dict[str, bytes]:
    stem = "model" if kind == "safetensors" else "pytorch_model"
    names = [f"{stem}-{i:05d}-of-{count:05d}.{kind}" for i in range(1, count + 1) if i not in without]
    index = "model.safetensors.index.json" if kind == "safetensors" else "pytorch_model.bin.index.json"
    return {"config.json": b"{}", "tokenizer.json": b"{}", index: b"{}"} | {name: name.encode() for name in names}


def test_a_missing_shard_is_named_before_anything_is_fetched(server, tmp_path):
    server.branches[REPO]["step1"] = shards("bin", 3, without=(2,))
    with pytest.raises(RevisionError, match="of 3 weight files, number 2 is missing"):
        fetch(tmp_path / "to")
    assert all("/resolve/" not in request.path for request in server.requests)


def test_shards_of_two_sets_are_refused():
    listed = tuple(hub.HubFile(name=name, size=1) for name in shards("bin", 2) | shards("bin", 3))
    with pytest.raises(RevisionError, match="several sets, of 2 and of 3 files"):
        hub.choose_files(hub.Listing(repo=REPO, revision="step1", commit="c" * 40, files=listed))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (shards("bin", 2), shards("bin", 2)),
        (shards("bin", 2) | shards("safetensors", 1), shards("safetensors", 1)),
        (shards("bin", 2) | {"model.safetensors": b"x"}, {"config.json", "tokenizer.json", "model.safetensors"}),
        (shards("bin", 2) | {"adapter_model.safetensors": b"x"}, shards("bin", 2)),
        (
            {
                "config.json": b"{}",
                "vocab.json": b"",
                "merges.txt": b"",
                "pytorch_model.bin": b"x",
                "optimizer.bin": b"x",
            },
            {"config.json", "vocab.json", "merges.txt", "pytorch_model.bin"},
        ),
    ],
)
def test_choice_of_files(files, expected):
    listed = tuple(hub.HubFile(name=name, size=len(content)) for name, content in files.items())
    listing = hub.Listing(repo=REPO, revision="step1", commit="c" * 40, files=listed)
    assert {file.name for file in hub.choose_files(listing)} == set(expected)


@pytest.mark.parametrize("files", [{"config.json": b"{}"}, {"model.safetensors": b"x"}, {"flax_model.msgpack": b"x"}])
def test_a_branch_without_weights_or_configuration_is_refused(files):
    listed = tuple(hub.HubFile(name=name, size=1) for name in files)
    with pytest.raises(RevisionError, match="no weights|config.json is missing"):
        hub.choose_files(hub.Listing(repo=REPO, revision="step1", commit="c" * 40, files=listed))


def test_the_audit_fetches_no_weights_and_finds_duplicates_and_gaps(server):
    other = {"model.safetensors": RNG.bytes(5_000)}
    server.branches[REPO] |= {
        "step2": FILES | {"model.safetensors": RNG.bytes(5_000)},
        "step8": FILES | other,
        "step9": FILES | {"README.md": b"other words, other commit"},
        "step10": {"config.json": b"{}"},
        "main": FILES | other,
    }
    known = published.ask_hub(
        REPO, ["step1", "step2", "step5", "step8", "step9", "step10"], label="audit", patience=QUICK
    )
    table = audit_table("m", known).set_index("revision")
    assert list(table.index[table["flagged"]]) == ["step1", "step5", "step8", "step9", "step10"]
    assert "equal to those of main" in table.loc["step8", "reason"]
    assert "cannot be told" in table.loc["step9", "reason"]
    assert "no such revision" in table.loc["step5", "reason"]
    assert "no weights" in table.loc["step10", "reason"]
    fetched = [r.path.rsplit("/", 1)[1] for r in server.requests if r.method == "GET" and "/resolve/" in r.path]
    assert sorted(fetched) == ["config.json", "tokenizer.json"]  # each content once, however many revisions have it
