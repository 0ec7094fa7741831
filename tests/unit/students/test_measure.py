"""The students of a revision: their rows follow from their margins, and a killed job trains nothing twice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from w2sg.activations import extraction
from w2sg.activations.models import take_apart
from w2sg.activations.tokens import ReadPairs
from w2sg.heads.sides import label_weakly
from w2sg.students.classroom import Classroom, split_texts
from w2sg.students.kept import KeptStudents
from w2sg.students.kinds import KINDS
from w2sg.students.measure import teach, teach_weak
from w2sg.students.revision import Lesson, teach_revision
from w2sg.students.scorer import Scorer
from w2sg.study.protocols import SPLITS
from w2sg.study.sections import Heads, Intervals, Students

N = 24
SETTINGS = Students(
    batch_size=8, every=2, watched=5, seeds=[0, 1], learning_rates={"lora": [1e-3, 1e-2], "full": [1e-4, 1e-2]}
)


def pairs(*, labelled: bool = False) -> tuple[ReadPairs, pd.DataFrame]:
    rng = np.random.default_rng(3)
    held = rng.random((2, 3 * N)) < 0.5 if labelled else np.ones((2, 3 * N), bool)
    if labelled:
        held[1] = ~held[0]
    ids = [rng.integers(1, 320, int(rng.integers(2, 9))).tolist() for _ in range(int(held.sum()))]
    lengths = np.zeros(held.shape, dtype=np.int32)
    lengths[held] = [len(row) for row in ids]
    names = [f"{i:016x}" for i in range(3 * N)]
    empty = {"chosen_source": "", "rejected_source": ""}
    frame = pd.DataFrame({"split": np.repeat(SPLITS, N), "row_id": names, "position": range(3 * N), **empty})
    return ReadPairs(ids=ids, lengths=lengths, facts={}), frame


def labels(frame: pd.DataFrame) -> pd.DataFrame:
    rng, parts = np.random.default_rng(4), []
    for seed in (0, 1):
        for split in SPLITS[1:]:
            rows = frame[frame["split"] == split]
            shown = label_weakly(rng.standard_normal(len(rows)) + 0.4, seed=seed)
            keys = {"protocol": "converged", "seed": seed, "half": 0, "split": split}
            parts.append(shown.assign(row_id=rows["row_id"].to_numpy(), **keys))
    return pd.concat(parts, ignore_index=True)


def room(read: ReadPairs, frame: pd.DataFrame, kind: str = "full", **changed) -> Classroom:
    model = take_apart(tiny.model("gpt_neox", seed=2), tiny.tokenizer())
    made = Classroom(
        scorer=Scorer(model),
        trained=KINDS[kind](model, SETTINGS),
        kind=kind,
        texts=split_texts(read, frame, most=None),
        settings=SETTINGS,
        heads=Heads(),
        intervals=Intervals(bootstrap=50),
        batch_tokens=64,
    )
    return dataclasses.replace(made, **changed)


@pytest.mark.parametrize(("kind", "labelled"), [("lora", False), ("full", False), ("full", True)])
def test_metrics_follow_from_margins(kind, labelled):
    read, frame = pairs(labelled=labelled)
    taught = teach(room(read, frame, kind), labels(frame), layer=2)
    shown = taught.predictions.set_index(["head", "seed", "row_id"])["margin"].sort_index()
    rows = taught.metrics.set_index(["head", "setting", "seed", "metric"])["value"].sort_index()
    assert set(taught.metrics["protocol"]) == {kind}
    for head in ("ceiling", "w2s", "permuted"):
        for seed in (0, 1):
            right, weak = (0.5 * (1 + np.sign(shown[name, seed])) for name in (head, "weak"))
            assert rows[head, "selected", seed, "accuracy"] == pytest.approx(right.mean())
            assert rows[head, "selected", seed, "gain"] == pytest.approx(right.mean() - weak.mean())
    for seed in (0, 1):
        rates = getattr(SETTINGS.learning_rates, kind)
        losses = {rate: rows["w2s", f"lr={rate:g}", seed, "progressive_loss"] for rate in rates}
        best = min(losses, key=losses.__getitem__)
        assert rows["w2s", "selected", seed, "learning_rate"] == best
        assert rows["w2s", "selected", seed, "accuracy"] == rows["w2s", f"lr={best:g}", seed, "accuracy"]
        cost = rows["permuted", "selected", seed, "accuracy"] - rows["w2s", "selected", seed, "accuracy"]
        assert rows["permuted", "selected", seed, "systematic_cost"] == pytest.approx(cost)
        assert (
            0 <= rows["ceiling", f"lr={best:g}", seed, "accuracy_step_2"] <= 1
        )  # of three steps, looked at after 2 and 3
    assert taught.metrics["layer"].eq(2).all()


def test_a_supervisors_own_student_has_its_rows():
    read, frame = pairs()
    taught = teach_weak(room(read, frame), labels(frame), layer=2)
    assert {"weak", "weak_on_weak"} == set(taught.metrics["head"])
    gains = taught.metrics.query("head == 'weak_on_weak' and metric == 'gain' and setting == 'selected'")
    assert len(gains) == 2


def test_a_killed_job_trains_nothing_twice_and_its_tables_are_the_same(tmp_path):
    read, frame = pairs()
    own = {"kept": KeptStudents(folder=tmp_path, made={"dataset": "mine", "recipe": 1})}
    whole = teach(room(read, frame, **own), labels(frame), layer=2)
    made = sorted(tmp_path.glob("*.safetensors"))
    assert len(made) == 2 * (2 + 2 + 1)  # seeds by rates of ceiling and student, and the control's one rate
    times = {path: path.stat().st_mtime_ns for path in made[3:]}
    for path in made[:3]:
        path.unlink()
    again = teach(room(read, frame, **own), labels(frame), layer=2)
    assert {path: path.stat().st_mtime_ns for path in made[3:]} == times
    pd.testing.assert_frame_equal(again.metrics, whole.metrics, check_exact=True)
    pd.testing.assert_frame_equal(again.predictions, whole.predictions, check_exact=True)
    other = {"kept": KeptStudents(folder=tmp_path, made={"dataset": "mine", "recipe": 2})}
    teach(room(read, frame, **other), labels(frame), layer=2)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2 * len(made)


def test_a_pair_without_a_label_is_named():
    read, frame = pairs()
    known = labels(frame)
    with pytest.raises(
        ValueError, match=rf"no label of pair {frame['row_id'].iloc[N]} of split weak_supervision, seed 0"
    ):
        teach(room(read, frame), known[known["row_id"] != frame["row_id"].iloc[N]], layer=2)


def test_datasets_of_one_revision_have_students_of_their_own(tmp_path):
    """Also where what decides them is the same: a supervisor's labels carry all datasets of its study."""
    tiny.save_revisions(tmp_path, "gpt_neox", [8])
    _, frame = pairs()
    rng = np.random.default_rng(0)
    lessons = {}
    for name in ("one", "other"):
        texts = {side: [tiny.sentence(rng) for _ in frame.index] for side in ("chosen", "rejected")}
        given = frame.assign(dataset=name, prompt="", **texts)
        lessons[name] = Lesson(pairs=given, labels=labels(frame), entry={"source": "files"})
    sections = {"students": SETTINGS.model_copy(update={"kinds": ["linear", "full"], "seeds": [0]}).model_dump()}
    sections |= {"heads": Heads().model_dump(), "intervals": Intervals(bootstrap=50).model_dump()}
    found = teach_revision(
        tmp_path / "step8",
        lessons,
        role="strong",
        sections=sections,
        settings=extraction.Settings(dtype="float32", max_tokens=32),
        device="cpu",
        drawn=False,
        kept=tmp_path / "kept",
        made=dict.fromkeys(lessons, {"made": "alike"}),
    )
    shown = {name: taught.predictions.query("head == 'w2s'")["margin"].to_numpy() for name, taught in found}
    assert (shown["one"] != shown["other"]).all()
    assert len(list((tmp_path / "kept").iterdir())) == 2 * 5
