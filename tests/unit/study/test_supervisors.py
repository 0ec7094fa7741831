"""Entries of ``supervisors``: what they stand for, and what is refused before anything runs."""

from __future__ import annotations

import pytest

from tests.unit.study.test_config import NOWHERE, ROOT, put, shipped
from w2sg.study.config import check_sources, complete_config
from w2sg.study.families import own_teachers, resolve_family, used_revisions
from w2sg.study.fields import ConfigError

MIDDLE = "pythia-31m"


def asked(**supervisors) -> dict:
    return put(shipped(), "supervisors", supervisors)


def test_a_list_is_a_mean_and_a_chain_uses_the_features_of_its_middle():
    config = put(
        asked(up={"source": "chain", "weak": "nano-weak", "middle": "nano-strong"}),
        "families/nano/weak",
        ["up", "nano-weak"],
    )
    config = complete_config(config, NOWHERE)
    assert complete_config(config, NOWHERE) == config
    assert config["supervisors"]["up-and-nano-weak"] == {"source": "mean", "of": ["up", "nano-weak"]}
    family = resolve_family("nano", config, ROOT)
    assert family.supervisor.path == "up-and-nano-weak/step2048"
    assert family.supervisor.own is None
    up, weak = family.supervisor.of
    assert up.own is not None and up.own.name == "nano-strong" and weak.own is weak
    assert family.supervisor.taught_by_truth == ["nano-weak/step2048", "nano-weak/step2048"]
    assert set(used_revisions({"nano": family})) == {"nano-strong", "nano-weak"}
    plain = resolve_family("nano", complete_config(shipped(), NOWHERE), ROOT)
    assert plain.supervisor.path == "nano-weak/step2048" and plain.supervisor.own is plain.supervisor


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("families/nano/weak", ["nano-weak"], "families.nano.weak: got ['nano-weak'], expected at least 2 of them"),
        ("families/nano/weak", ["nano-weak", "nano-week"], "families.nano.weak: no entry 'nano-week' in models; did you mean 'nano-weak'?"),
        ("supervisors/a", {"source": "vote", "of": ["b"]}, "supervisors.a.source: got 'vote', allowed: mean, chain, labels"),
        ("supervisors/a", {"source": "mean", "of": ["nano-weak", "b"]}, "supervisors.a: no entry 'b' in models or supervisors"),
        ("supervisors/a", {"source": "mean", "of": ["nano-weak", "a"]}, "supervisors.a: learns from itself"),
        ("supervisors/a", {"source": "chain", "weak": "a", "middle": "nano-weak"}, "supervisors.a: learns from itself"),
        ("supervisors/a", {"source": "labels", "files": {"mime": "a.csv"}}, "supervisors.a: no entry 'mime' in datasets"),
        ("supervisors/nano-weak", {"source": "labels", "files": {}}, "supervisors.nano-weak: a model has this name too"),
    ],
)  # fmt: skip
def test_supervisors_that_do_not_fit_are_named(path, value, said):
    with pytest.raises(ConfigError) as caught:
        complete_config(put(shipped(), path, value), NOWHERE)
    assert said in str(caught.value)


def test_a_chain_needs_a_model_and_a_revision_must_be_of_every_model():
    config = asked(
        a={"source": "mean", "of": ["nano-weak", "nano-strong"]},
        b={"source": "chain", "weak": "nano-weak", "middle": "a"},
    )
    with pytest.raises(ConfigError, match="supervisors.b.middle: 'a' is a supervisor, expected a model"):
        complete_config(config, NOWHERE)
    config["supervisors"].pop("b")
    config = put(put(config, "families/nano/weak", "a"), "families/nano/weak_revision", "step3")
    with pytest.raises(ConfigError, match="families.nano.weak_revision: no revision 'step3'"):
        resolve_family("nano", complete_config(config, NOWHERE), ROOT)


def test_means_of_a_part_of_the_pairs_are_refused_below_another_mean_and_count_when_pairs_are_too_few():
    part = {"source": "mean", "of": ["nano-weak", "nano-strong"], "keep": 0.01}
    with pytest.raises(ConfigError, match="supervisors.b.of: 'a' keeps 0.01 of its pairs"):
        complete_config(asked(a=part, b={"source": "mean", "of": ["a", "nano-weak"]}), NOWHERE)
    config = put(asked(a=part), "families/nano/weak", "a")
    with pytest.raises(ConfigError, match="heads.cleaning.neighbours: got 10, allowed: at most 9, .*newsgroups_tech"):
        complete_config(put(config, "heads/cleaning", {"by": "knn", "neighbours": 10}), NOWHERE)
    with pytest.raises(
        ConfigError, match="heads.converged.folds: got 30, allowed: at most 20, .*times supervisors.<name>.keep, 0.01"
    ):
        complete_config(put(config, "heads/converged/folds", 30), NOWHERE)


def test_every_swept_dataset_needs_its_file_of_labels(tmp_path):
    files = {"newsgroups_tech": str(tmp_path / "none.csv")}
    config = complete_config(put(asked(p={"source": "labels", "files": files}), "families/nano/weak", "p"), NOWHERE)
    families = {"nano": resolve_family("nano", config, ROOT)}
    with pytest.raises(ConfigError, match="supervisors.p.files: no file for newsgroups_order, which the study sweeps"):
        check_sources(config, families, ["newsgroups_tech", "newsgroups_order"])
    with pytest.raises(ConfigError, match=r"supervisors.p.files.newsgroups_tech: no file .*none.csv"):
        check_sources(config, families, ["newsgroups_tech"])


@pytest.mark.parametrize("ring", [("a", "b"), ("a", "b", "c")])
@pytest.mark.parametrize("source", ["chain", "mean"])
def test_supervisors_that_lead_back_over_others_are_refused(ring, source):
    following = dict(zip(ring, (*ring[1:], ring[0]), strict=True))
    kinds = {
        "chain": lambda one: {"source": "chain", "weak": one, "middle": "nano-strong"},
        "mean": lambda one: {"source": "mean", "of": ["nano-weak", one]},
    }
    made = {name: kinds[source](other) for name, other in following.items()}
    with pytest.raises(ConfigError) as caught:
        complete_config(put(shipped(), "supervisors", made), NOWHERE)
    assert [str(one) for one in caught.value.mistakes] == [
        f"supervisors.{name}: learns from itself, over the supervisors that it names" for name in ring
    ]


def test_a_swept_revision_that_is_its_own_supervisor_is_said():
    config = complete_config(put(shipped(), "families/nano/weak", "nano-strong"), NOWHERE)
    (note,) = own_teachers({"nano": resolve_family("nano", config, ROOT)})
    assert note.startswith("families.nano: nano-strong step2048 is its own supervisor")
    plain = resolve_family("nano", complete_config(shipped(), NOWHERE), ROOT)
    assert not own_teachers({"nano": plain})
