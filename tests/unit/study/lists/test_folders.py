"""Folders of checkpoints: what counts as a revision, what a Trainer says of it, and that none is left out without a word."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.dag.conftest import ROOT
from w2sg.study.families import resolve_family
from w2sg.study.fields import ConfigError
from w2sg.study.lists.models import list_notes, local_folder, place_of, revisions_of


def checkpoint(folder: Path, *, state: dict | str | None = None) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    if state is not None:
        (folder / "trainer_state.json").write_text(state if isinstance(state, str) else json.dumps(state))


def found(folder: Path, **entry) -> list[tuple]:
    model = {"source": "local", "path": str(folder)} | entry
    return [(one.name, one.step, one.tokens) for one in revisions_of("m", model, Path("/"))]


def test_a_trainers_folder_says_steps_and_tokens(tmp_path):
    for step in (1000, 200):
        checkpoint(tmp_path / f"checkpoint-{step}", state={"global_step": step, "num_input_tokens_seen": step * 5000})
    (tmp_path / "runs" / "Nov29").mkdir(parents=True)
    (tmp_path / ".cache").mkdir()
    assert found(tmp_path) == [("checkpoint-200", 200, 0.001), ("checkpoint-1000", 1000, 0.005)]
    assert found(tmp_path, tokens_per_step=1e6)[0] == ("checkpoint-200", 200, 0.2)


def test_a_trainer_that_counted_no_tokens_leaves_them_unknown(tmp_path):
    checkpoint(tmp_path / "checkpoint-7", state={"global_step": 7, "num_input_tokens_seen": 0})
    ((_, _, tokens),) = found(tmp_path)
    assert math.isnan(tokens)
    config = {
        "models": {"m": {"source": "local", "path": str(tmp_path)}},
        "families": {"f": {"strong": "m", "weak": "m"}},
    }
    with pytest.raises(ConfigError, match=r"models\.m\.tokens_per_step: missing.*unknown of: checkpoint-7"):
        resolve_family("f", config, ROOT)


@pytest.mark.parametrize(
    ("name", "step", "tokens"),
    [
        ("step0", 0, 0.0), ("step000512", 512, None), ("step1000-tokens4B", 1000, 4.0), ("step-240000", 240000, None),
        ("step_8", 8, None), ("global_step600000", 600000, None), ("checkpoint-3", 3, None), ("step3-tokens0B", 3, None),
    ],
)  # fmt: skip
def test_names_that_say_a_step(tmp_path, name, step, tokens):
    checkpoint(tmp_path / name)
    ((read, at, seen),) = found(tmp_path)
    assert (read, at) == (name, step)
    assert seen == tokens if tokens is not None else math.isnan(seen)


@pytest.mark.parametrize(
    "other", ["final", "Step8", "_step8", "-step8", "step", "step8b", "checkpoint_8", "8", "epoch 1"]
)
@pytest.mark.parametrize("empty", [True, False])
def test_a_model_whose_name_says_no_step_is_named(tmp_path, other, empty):
    checkpoint(tmp_path / "step0")
    (tmp_path / other).mkdir() if empty else checkpoint(tmp_path / other)
    with pytest.raises(
        ConfigError, match=rf"models\.m\.path: 1 of 2 folders in .* say no step: {other}( .empty.)?; rename"
    ):
        found(tmp_path)


def test_a_folder_with_a_model_in_it_is_the_one_revision(tmp_path):
    checkpoint(tmp_path / "own", state={"global_step": 50, "num_input_tokens_seen": 10**6})
    assert found(tmp_path / "own") == [("main", 50, 0.001)]
    model = {"source": "local", "path": str(tmp_path / "own")}
    listed = revisions_of("m", model, ROOT)
    assert local_folder(model, "main", place_of("main", listed, model)) == tmp_path / "own"


def test_a_swept_model_in_a_folder_that_says_no_step_is_no_random_twin(tmp_path):
    checkpoint(tmp_path / "own")
    model = {"source": "local", "path": str(tmp_path / "own"), "tokens_per_step": 100.0}
    config = {"models": {"m": model}, "families": {"f": {"strong": "m", "weak": "m"}}}
    with pytest.raises(
        ConfigError, match=r"models\.m\.revisions: missing.*revision list that says its step and tokens"
    ):
        resolve_family("f", config, ROOT)


def test_what_a_trainer_leaves_beside_its_checkpoints_supervises_as_main(tmp_path):
    checkpoint(tmp_path / "out", state={"global_step": 8})
    for step in (4, 8):
        checkpoint(tmp_path / "out" / f"checkpoint-{step}")
    model = {"source": "local", "path": str(tmp_path / "out"), "tokens_per_step": 100.0}
    config = {"models": {"m": model}, "families": {"f": {"strong": "m", "weak": "m", "weak_revision": "main"}}}
    family = resolve_family("f", config, ROOT)
    assert [one.name for one in family.revisions] == ["random", "checkpoint-4", "checkpoint-8"]
    assert local_folder(model, family.supervisor.revision, family.supervisor.place) == tmp_path / "out"
    bare = {"source": "local", "path": str(tmp_path / "steps")}
    checkpoint(tmp_path / "steps" / "step4")
    config = {
        "models": {"m": model, "b": bare},
        "families": {"f": {"strong": "m", "weak": "b", "weak_revision": "main"}},
    }
    with pytest.raises(ConfigError, match="no revision 'main'; the last is 'step4'"):
        resolve_family("f", config, ROOT)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"global_step": 9}, "its name says step 8, trainer_state.json says global_step 9"),
        ({"global_step": "8"}, "global_step is '8', expected an integer >= 0"),
        ({"global_step": 8, "num_input_tokens_seen": -1}, "num_input_tokens_seen is -1"),
        ('{"global_step": 8', "trainer_state.json cannot be read"),
        ("[]", "trainer_state.json cannot be read"),
        ("null", "trainer_state.json cannot be read"),
        ("[" * 100_000, "trainer_state.json cannot be read"),
        ({"global_step": 8, "num_input_tokens_seen": 10**400}, "num_input_tokens_seen is 1000.*less than 2.63"),
    ],
)
def test_a_state_that_cannot_be_right_is_named(tmp_path, state, message):
    checkpoint(tmp_path / "checkpoint-8", state=state)
    with pytest.raises(ConfigError, match=rf"models\.m\.path: .*checkpoint-8.*{message}"):
        found(tmp_path)


def test_tokens_of_folders_must_not_fall(tmp_path):
    for step, tokens in ((1, 10**9), (2, 10**8)):
        checkpoint(tmp_path / f"checkpoint-{step}", state={"global_step": step, "num_input_tokens_seen": tokens})
    with pytest.raises(ConfigError, match=r"checkpoint-2: .*0\.1 billion tokens at step 2"):
        found(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=rf"models\.m\.path: no folder {tmp_path / 'none'}"):
        found(tmp_path / "none")


def test_a_list_may_say_where_below_the_folder_a_revision_lies(tmp_path):
    path = tmp_path / "list.tsv"
    path.write_text("revision\tstep\ttokens_billion\tsubfolder\nearly\t1\t1\truns/a\nlate\t2\t2\t-\n")
    model = {"source": "local", "path": str(tmp_path), "revisions": str(path)}
    listed = revisions_of("m", model, ROOT)
    folders = [local_folder(model, name, place_of(name, listed, model)) for name in ("early", "late")]
    assert folders == [tmp_path / "runs" / "a", tmp_path / "late"]


def test_models_that_a_list_leaves_out_are_named(tmp_path):
    for name in ("step1", "step2", "final"):
        checkpoint(tmp_path / "run" / name)
    (tmp_path / "run" / "logs").mkdir()
    path = tmp_path / "list.tsv"
    path.write_text("revision\tstep\ttokens_billion\tsubfolder\nearly\t1\t1\tstep1\nstep3\t3\t3\t-\n")
    model = {"source": "local", "path": str(tmp_path / "run"), "revisions": str(path)}
    assert list_notes("m", model, ROOT) == ["folders with a model that its list does not name (2): final, step2"]
    assert list_notes("m", {"source": "local", "path": str(tmp_path / "run")}, ROOT) == []
    assert list_notes("m", {"source": "hub", "repo": "o/m", "revisions": str(path)}, ROOT) == []


@pytest.mark.parametrize(
    ("columns", "named"), [("repo", "repo"), ("commit", "commit"), ("commit repo", "repo, commit")]
)
def test_columns_that_count_on_the_hub_alone_are_named(tmp_path, columns, named):
    cells = {"repo": "o/m", "commit": "a" * 40}
    path = tmp_path / "list.tsv"
    rows = ["\t".join(["revision", "step", "tokens_billion", *columns.split()])]
    rows += ["\t".join(["a", "1", "1", *(cells[column] for column in columns.split())])]
    path.write_text("\n".join([*rows, "b\t2\t2" + "\t-" * len(columns.split())]) + "\n")
    model = {"source": "local", "path": str(tmp_path), "revisions": str(path)}
    (note,) = list_notes("m", model, ROOT)
    assert note.startswith("columns of its list that count for models on the Hub alone") and note.endswith(f": {named}")
    path.write_text(path.read_text().replace("o/m", "-").replace("a" * 40, ""))
    assert list_notes("m", model, ROOT) == []


@pytest.mark.parametrize(
    ("folders", "listed"),
    [
        ({"checkpoint-100": 100, "checkpoint-200": 200, "checkpoint-300": 300}, (3, 2, 1)),
        ({"step100": None, "step200": None, "step300": None}, (100, 300, 250)),
        ({"early": 100, "runs/middle": 300, "late": 200}, (1, 2, 3)),
        ({"global_step100": None, "b": None, "late": 50}, (100, 200, 300)),
    ],
)
def test_a_list_that_contradicts_the_order_of_its_folders_is_refused(tmp_path, folders, listed):
    for name, said in folders.items():
        checkpoint(tmp_path / name, state=None if said is None else {"global_step": said})
    path = tmp_path / "list.tsv"
    rows = [f"r{n}\t{step}\t{step}\t{folder}\n" for n, (step, folder) in enumerate(zip(listed, folders, strict=True))]
    path.write_text(
        "revision\tstep\ttokens_billion\tsubfolder\n" + "".join(sorted(rows, key=lambda row: int(row.split("\t")[1])))
    )
    with pytest.raises(
        ConfigError, match=r"models\.m\.revisions: the list .*list.tsv says that r\d is step \d+ and r\d step"
    ):
        found(tmp_path, revisions=str(path))


def test_a_list_may_count_steps_otherwise_than_its_folders(tmp_path):
    for name, said in {"step1": None, "checkpoint-2": 2, "last": 3}.items():
        checkpoint(tmp_path / name, state=None if said is None else {"global_step": said})
    path = tmp_path / "list.tsv"
    path.write_text("revision\tstep\ttokens_billion\nstep1\t1001\t1\ncheckpoint-2\t2000\t2\nlast\t3500\t3\n")
    assert [step for _, step, _ in found(tmp_path, revisions=str(path))] == [1001, 2000, 3500]


def test_a_link_that_leads_nowhere_and_a_file_are_named(tmp_path):
    checkpoint(tmp_path / "elsewhere" / "step8")
    checkpoint(tmp_path / "run" / "step4")
    for name, target in (("step8", "step8"), ("step16", "gone"), ("notes", "gone")):
        (tmp_path / "run" / name).symlink_to(tmp_path / "elsewhere" / target)
    with pytest.raises(ConfigError, match=r"models.m.path: .*run: step16 is a link that leads nowhere"):
        found(tmp_path / "run")
    (tmp_path / "run" / "step16").unlink()
    for name in ("step12", "step12.tar.gz", "step12.zip", "step12.safetensors"):
        (tmp_path / "run" / name).touch()
        with pytest.raises(ConfigError, match=rf"models.m.path: .*run: {name} is a file, expected a folder"):
            found(tmp_path / "run")
        (tmp_path / "run" / name).unlink()
    for name in ("step4.zip", "step12.log"):  # unpacked, and none
        (tmp_path / "run" / name).touch()
    assert [step for _, step, _ in found(tmp_path / "run", tokens_per_step=1.0)] == [4, 8]


def test_two_rows_of_a_list_that_mean_one_folder_are_refused(tmp_path):
    listed = tmp_path / "list.tsv"
    listed.write_text("revision\tstep\ttokens_billion\tsubfolder\na\t1\t1\tx\nb\t2\t2\tx\n")
    with pytest.raises(ConfigError, match=r"models.m.revisions: .*list.tsv gives a and b the same folder .*/x"):
        found(tmp_path, revisions=str(listed))
    checkpoint(tmp_path / "x")
    checkpoint(tmp_path / "run" / "step4")
    (tmp_path / "y").symlink_to("x")
    (tmp_path / "far").symlink_to(tmp_path / "run")
    (tmp_path / "loop").symlink_to("loop")
    for first, second in (("x", "y"), ("run/step4", "far/step4"), ("y", "x")):
        listed.write_text(
            f"revision\tstep\ttokens_billion\tsubfolder\na\t4\t1\t{first}\nb\t4\t2\t{second}\nc\t6\t3\tloop\n"
        )
        with pytest.raises(ConfigError, match=r"models.m.revisions: .*list.tsv gives a and b the same folder .*"):
            found(tmp_path, revisions=str(listed))
    (tmp_path / "run" / "step8").symlink_to("step4")
    with pytest.raises(
        ConfigError, match=r"models.m.path: a link in .*run gives step4 and step8 the same folder .*step4"
    ):
        found(tmp_path / "run")
    on_hub = {"source": "hub", "repo": "o/m", "revisions": str(listed)}
    assert len(revisions_of("m", on_hub, Path("/"))) == 3  # branches
