"""Which revisions carry another one's weights, on the patterns that were published."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

from w2sg.report import sentences
from w2sg.revisions import audit
from w2sg.revisions.access import open_revision
from w2sg.revisions.audit import audit_table
from w2sg.revisions.offline import Published
from w2sg.revisions.scratch import Store
from w2sg.tables import schemas
from w2sg.tables.files import read_table, write_table
from w2sg.trajectories import coverage


def published(**weights: str) -> list[Published]:
    """Revisions in order; each letter of a value stands for the content of one shard."""
    return [
        Published(
            revision=name, commit="c" + name, hashes={f"{i}.bin": letter for i, letter in enumerate(text)}, size=9
        )
        for name, text in weights.items()
    ]


def flagged(**weights: str) -> dict[str, str]:
    table = audit_table("m", published(**weights)).set_index("revision")
    return dict(table.loc[table["flagged"], "duplicate_of"])


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"s0": "a", "s1": "b", "s2": "c", "main": "c"}, {}),
        ({"s0": "z", "s1": "b", "s2": "z", "main": "z"}, {"s0": "s2"}),
        ({"s0": "z", "s1": "b", "s2": "c", "main": "z"}, {"s0": "main"}),
        ({"s0": "a", "s1": "a", "s2": "a", "s3": "d"}, {"s1": "s0", "s2": "s0"}),
        ({"s0": "a", "s1": "b", "s2": "a", "s3": "d"}, {"s0": "s2", "s2": "s0"}),
        ({"s0": "ax", "s1": "by", "s2": "cz", "s3": "cw"}, {"s2": "s3"}),
        ({"s0": "ax", "s1": "aw", "s2": "cz", "s3": "bq", "s4": "cr"}, {"s1": "s0", "s2": "s4"}),
        ({"s0": "", "s1": "b"}, {}),
    ],
)
def test_the_rule(weights, expected):
    assert flagged(**weights) == expected


def test_reasons_say_how_much_is_shared_and_whether_it_is_certain():
    table = audit_table("m", published(s0="ab", s1="cd", s2="ae", s3="fg")).set_index("revision")
    assert (
        table.loc["s0", "reason"] == "1 of 2 weight files equal to those of s2; which of them is right cannot be told"
    )
    assert table.loc["s1", "reason"] == ""
    gap = [Published(revision="s0", missing="the Hub has no such revision"), *published(s1="a")]
    row = audit_table("m", gap).iloc[0]
    assert (row["flagged"], row["reason"], row["weights_hash"]) == (True, "the Hub has no such revision", "")


def test_weights_in_the_format_that_is_not_used_are_compared_too():
    both = {"model.safetensors": "f"}, {"pytorch_model.bin": "z"}
    known = [
        Published(revision="s0", hashes={"model.safetensors": "a"}, spare={"pytorch_model.bin": "b"}),
        Published(revision="s8", hashes={"pytorch_model.bin": "z"}),
        Published(revision="s16", hashes={"model.safetensors": "c"}, spare={"pytorch_model.bin": "z"}),
        Published(revision="s64", hashes=both[0], spare=both[1]),
        Published(revision="main", hashes=both[0], spare=both[1]),
    ]
    table = audit_table("m", known).set_index("revision")
    assert list(table.index[table["flagged"]]) == ["s8"]
    assert table.loc["s8", "reason"] == "weights equal to those of s64"
    assert table.loc["s16", "reason"] == "1 of 1 weight files that are not used equal to those of s64"
    assert table.loc["s16", "duplicate_of"] == ""
    assert table.loc["s64", "weights_hash"] == "f"
    assert table.loc["s64", "files"] == 1


def test_what_is_unknown_is_neither_flagged_nor_equal_to_anything():
    known = [
        Published(revision="s0", unknown="unknown: no network"),
        *published(s8="a"),
        Published(revision="s16", hashes={"0.bin": ""}),
        Published(revision="s32", hashes={"0.bin": ""}),
    ]
    table = audit_table("m", known).set_index("revision")
    assert not table["flagged"].any()
    assert table.loc["s0", "reason"] == "unknown: no network"
    assert set(table["duplicate_of"]) == {""}


def test_the_hash_of_several_files_is_that_of_their_hashes_in_name_order():
    item = Published(revision="s", hashes={"b": "22", "a": "11"})
    assert item.weights_hash == hashlib.sha256(b"1122").hexdigest()
    assert Published(revision="s", hashes={"b": "22"}).weights_hash == "22"


def measured(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["model", "revision", "head"])


def test_flagged_revisions_stay_out_and_are_named():
    table = audit_table("m", published(s0="z", s1="b", s2="z"))
    metrics = measured(("m", "s0", "w2s"), ("m", "s2", "w2s"), ("m", "s0", "weak"), ("other", "s0", "w2s"))
    kept = coverage.exclude_flagged(metrics, table)
    assert list(kept.itertuples(index=False, name=None)) == [
        ("m", "s2", "w2s"),
        ("m", "s0", "weak"),
        ("other", "s0", "w2s"),
    ]
    rows = coverage.left_out(metrics, table)
    said = "weights equal to those of s2; the last revision is taken to be right"
    assert rows.to_dict("records") == [{"model": "m", "revision": "s0", "reason": said}]
    assert sentences.describe_doubts(rows.assign(excluded=True)) == [f"m s0 (left out): {said}"]
    assert "kept" in sentences.describe_doubts(rows.assign(excluded=False))[0]


def test_models_that_are_not_on_the_hub_are_compared_by_what_was_opened(tmp_path):
    losses = [
        pd.DataFrame([{"model": "m", "revision": f"step{step}", "commit": f"sha256:{digest}"}])
        for step, digest in enumerate("abca")
    ]
    (table,) = audit.audit_measured(losses, [{}] * 4)
    assert list(table.loc[table["flagged"], "revision"]) == ["step0"]
    write_table(table, tmp_path / "audit.parquet", schemas.AUDIT, provenance={})
    assert read_table(tmp_path / "audit.parquet", schemas.AUDIT)["weights_hash"].tolist() == list("abca")


@pytest.mark.parametrize(
    ("shards", "wrong"),
    [
        (["ap", "bq", "cq", "dr", "es"], {"step2": "1 of 2 weight files equal to those of step1"}),
        (["as", "bq", "cr", "ds"], {"step0": "1 of 2 weight files equal to those of step3; the last revision is taken to be right"}),
        (["ap", "bq", "cr", "ap"], {"step0": "weights equal to those of step3; the last revision is taken to be right"}),
        (["ax", "bx", "cx", "dx"], {}),  # a file of what was not trained
        (["axp", "bxq", "cxq", "dxr"], {"step2": "1 of 3 weight files equal to those of step1"}),
        (["ax", "bx"], {"step0": "1 of 2 weight files equal to those of step1; the last revision is taken to be right"}),
        (["a", "a", "a"], {"step0": "", "step1": ""}),
        (["", "bq", "cq", "dr"], {"step2": "1 of 2 weight files equal to those of step1"}),  # by an earlier version
    ],
)  # fmt: skip
def test_single_files_of_local_models_are_compared(tmp_path, shards, wrong):
    losses, weights = [], []
    for step, text in enumerate(shards):
        folder = tmp_path / f"step{step}"
        folder.mkdir()
        contents = text or "zz"
        for number, content in enumerate(contents, start=1):
            (folder / f"model-{number:05d}-of-{len(contents):05d}.safetensors").write_text(content)
        model = {"source": "local", "path": str(tmp_path)}
        with open_revision(model, folder.name, name="m", root=tmp_path, store=Store(root=tmp_path, limit=1)) as opened:
            losses.append(pd.DataFrame([{"model": "m", "revision": folder.name, "commit": opened.commit}]))
            weights.append(opened.hashes if text else {})
    (table,) = audit.audit_measured(losses, weights)
    assert [f"sha256:{one}" for one in table["weights_hash"]] == list(table["commit"])
    assert table["files"].tolist() == [len(text) or 1 for text in shards]
    found = dict(table.loc[table["flagged"], ["revision", "reason"]].itertuples(index=False, name=None))
    assert list(found) == list(wrong) and all(wrong[name] in text for name, text in found.items())


def test_of_nothing_that_was_opened_there_is_an_empty_audit(tmp_path, monkeypatch):
    """A partial study whose feature files were deleted, and that has no model on the Hub."""
    from workflow.scripts import collect_audit

    monkeypatch.setattr("w2sg.tables.origins.trace", lambda *_, **__: {})
    output = str(tmp_path / "audit.parquet")
    collect_audit.main(
        audits=[], losses=[], output=output, made={}, config={"sweep": {"datasets": []}}, log=str(tmp_path / "log")
    )
    assert read_table(output, schemas.AUDIT).empty
