"""Families of several pre-training seeds: ordinary families and models under one supervisor, shared with other studies."""

from __future__ import annotations

import pytest

from tests.unit.study.test_config import NOWHERE, ROOT, put, shipped
from w2sg.study.config import complete_config
from w2sg.study.definitions import shared_definitions
from w2sg.study.families import groups, members, resolve_family, used_revisions
from w2sg.study.fields import ConfigError

REPOS = ["EleutherAI/pythia-70m-seed1", "EleutherAI/pythia-70m-seed2", "someone/other"]


def with_seeds(family: str, seeds: object, *, sweep: list[str] | None = None) -> dict:
    config = put(put(shipped(), f"families/{family}/seeds", seeds), "sweep/families", sweep or [family])
    return put(config, "banded", [])


def test_every_seed_is_a_family_under_the_same_supervisor_and_the_models_own_seed_is_the_model_itself():
    config = complete_config(shipped("nano_seeds"), NOWHERE)
    assert complete_config(config, NOWHERE) == config
    names = members("nano", config)
    assert names == ["nano-seed0", "nano-seed1", "nano-seed2"]
    found = {name: resolve_family(name, config, ROOT) for name in names}
    assert [family.strong for family in found.values()] == ["nano-strong", "nano-strong-seed1", "nano-strong-seed2"]
    assert {family.supervisor.path for family in found.values()} == {"nano-weak/step2048"}
    assert len({family.revisions for family in found.values()}) == 1
    models = config["models"]
    assert [models[family.strong]["pretraining"]["seed"] for family in found.values()] == [0, 1, 2]
    other = {**models["nano-strong"], "pretraining": {**models["nano-strong"]["pretraining"], "seed": 1}}
    assert models["nano-strong-seed1"] == other


def test_repositories_are_seeds_of_a_hub_model():
    config = complete_config(with_seeds("pythia-70m", REPOS), NOWHERE)
    names = members("pythia-70m", config)
    assert names == ["pythia-70m-seed1", "pythia-70m-seed2", "pythia-70m-other"]
    assert [config["models"][config["families"][name]["strong"]]["repo"] for name in names] == REPOS
    family = resolve_family(names[1], config, ROOT)
    assert (family.strong, family.supervisor.name, len(family.revisions)) == ("pythia-70m-seed2", "pythia-14m", 154)


@pytest.mark.parametrize(
    ("size", "weak"), [("14m", "datadecide-4m"), ("31m", "pythia-14m"), ("70m", "pythia-14m"), ("160m", "pythia-14m")]
)
def test_the_shipped_published_seeds(size, weak):
    name = f"polypythia-{size}"
    config = complete_config(put(put(shipped(), "sweep/families", [name]), "banded", []), NOWHERE)
    families = {member: resolve_family(member, config, ROOT) for member in members(name, config)}
    repos = [config["models"][family.strong]["repo"] for family in families.values()]
    assert repos == [f"EleutherAI/pythia-{size}-seed{seed}" for seed in range(1, 10)]
    assert {model: len(names) for model, names in used_revisions(families).items()} == {
        **{f"pythia-{size}-seed{seed}": 154 for seed in range(1, 10)},
        weak: 1,
    }


def test_the_corpora_of_datadecide_differ_in_nothing_else():
    config = complete_config(shipped("datadecide_20m"), NOWHERE)
    families = {}
    for name in config["sweep"]["families"]:
        families |= {member: resolve_family(member, config, ROOT) for member in members(name, config)}
    assert len(families) == 4 * 3
    assert {family.supervisor.path for family in families.values()} == {"datadecide-4m/step5725-seed-default"}
    for seed in ("default", "small-aux-2", "small-aux-3"):
        same = {family.revisions for name, family in families.items() if name.endswith(f"-{seed}")}
        assert len(same) == 1 and len(next(iter(same))) == 13
        assert all(one.name == f"step{one.step}-seed-{seed}" for one in next(iter(same)))


def test_studies_mean_the_same_by_the_model_of_a_seed():
    """Whether it was made by a list of seeds, by another family's, or written out."""
    config = complete_config(with_seeds("nano", [1, 2]), NOWHERE)
    again = complete_config(put(config, "families/nano/seeds", [2, 0, 1]), NOWHERE)
    plain = put(shipped(), "models/nano-strong-seed1", config["models"]["nano-strong-seed1"])
    plain = put(plain, "families/mine", {**plain["families"]["nano"], "strong": "nano-strong-seed1"})
    shared = []
    for study, name in ((config, "nano-seed1"), (again, "nano-seed1"), (complete_config(plain, NOWHERE), "mine")):
        shared.append(shared_definitions(study, {name: resolve_family(name, study, ROOT)}))
    assert shared[0] == shared[1] == shared[2]


def test_two_supervisors_share_the_models_of_the_seeds():
    config = with_seeds("nano", [0, 1])
    config["families"]["early"] = {**config["families"]["nano"], "weak_revision": "step1024"}
    config = complete_config(put(config, "sweep/families", ["nano", "early"]), NOWHERE)
    assert config["families"]["early-seed1"]["strong"] == config["families"]["nano-seed1"]["strong"]


def test_groups_are_families_of_several_measured_seeds():
    config = complete_config(with_seeds("nano", [0, 1, 2], sweep=["nano", "nano-spam", "pythia-70m"]), NOWHERE)
    swept = config["sweep"]["families"]
    everything = [member for name in swept for member in members(name, config)]
    assert groups(swept, config, everything) == {"nano": ["nano-seed0", "nano-seed1", "nano-seed2"]}
    assert groups(swept, config, ["nano-seed2", "nano-seed0"]) == {"nano": ["nano-seed0", "nano-seed2"]}
    assert groups(swept, config, ["nano-seed2", "nano-spam"]) == {}


@pytest.mark.parametrize(
    ("family", "seeds", "said"),
    [
        ("nano", 3, ["families.nano.seeds: got 3 (an integer), expected a list. Pre-training seeds"]),
        ("nano", [], ["families.nano.seeds: got [], expected at least 1"]),
        ("nano", [1, 1], ["families.nano.seeds: [1, 1] repeats a value"]),
        ("nano", [0, "a/b"], ["families.nano.seeds.1: got 'a/b' (text), expected an integer"]),
        ("nano", ["a/b"], ["families.nano.seeds: got ['a/b'], expected integers", "models.nano-strong is of source pretrain"]),
        ("pythia-70m", [1, 2], ["families.pythia-70m.seeds: got [1, 2], expected repositories", "of source hub"]),
        ("pythia-70m", ["a b"], ["families.pythia-70m.seeds.0: got 'a b', expected owner/name of a repository, or a seed"]),
        ("pythia-70m", ["a/x", "b/x"], ["pythia-70m.seeds.1: 'b/x' makes models.pythia-70m-x, and there is another entry"]),
    ],
)  # fmt: skip
def test_seeds_that_cannot_be_swept_are_named(family, seeds, said):
    with pytest.raises(ConfigError) as caught:
        complete_config(with_seeds(family, seeds), NOWHERE)
    for part in said:
        assert part in str(caught.value)


LISTED = "revision\tstep\ttokens_billion\tseed\n" + "".join(
    f"step{step}-seed-{seed}\t{step}\t{step}\t{seed}\n" for seed in ("default", "aux-2") for step in (0, 8)
)


@pytest.mark.parametrize("source", ["hub", "local"])
def test_names_of_a_lists_column_are_seeds(tmp_path, source):
    (tmp_path / "list.tsv").write_text(LISTED)
    place = {"hub": {"repo": "o/m"}, "local": {"path": str(tmp_path)}}[source]
    config = with_seeds("pythia-70m", ["default", "aux-2"])
    config = put(config, "models/pythia-70m", {"source": source, "revisions": str(tmp_path / "list.tsv"), **place})
    config = complete_config(config, NOWHERE)
    names = members("pythia-70m", config)
    assert names == ["pythia-70m-default", "pythia-70m-aux-2"]
    families = [resolve_family(name, config, ROOT) for name in names]
    found = [[revision.name for revision in family.revisions] for family in families]
    assert found == [["step0-seed-default", "step8-seed-default"], ["step0-seed-aux-2", "step8-seed-aux-2"]]
    assert [config["models"][family.strong]["seed"] for family in families] == ["default", "aux-2"]


@pytest.mark.parametrize(
    ("text", "seed", "said"),
    [
        (LISTED, None, "models.pythia-70m.seed: missing; the list .* holds the seeds default, aux-2: name one, or"),
        (LISTED, "aux-3", "models.pythia-70m.seed: got 'aux-3'; did you mean 'aux-2'?"),
        ("revision\tstep\ttokens_billion\na\t1\t1\n", "aux-2", "seed: got 'aux-2', but the list .* has no column seed"),
        (None, "aux-2", "models.pythia-70m.seed: only a list tells seeds apart"),
    ],
)
def test_a_seed_that_is_not_in_the_list_is_named(tmp_path, text, seed, said):
    model = {"source": "hub", "repo": "o/m"} | ({"seed": seed} if seed else {})
    if text:
        (tmp_path / "list.tsv").write_text(text)
        model["revisions"] = str(tmp_path / "list.tsv")
    config = complete_config(put(shipped(), "models/pythia-70m", model), NOWHERE)
    with pytest.raises(ConfigError, match=said):
        resolve_family("pythia-70m", config, ROOT)


def test_repositories_are_no_seeds_of_a_folder_and_a_taken_name_is_refused():
    config = with_seeds("nano", [0, 1])
    local = put(config, "models/nano-strong", {"source": "local", "path": "somewhere"})
    for seeds in ([0, 1], ["a/b"]):
        with pytest.raises(ConfigError, match=r"families\.nano\.seeds: got .*, expected names from the column seed"):
            complete_config(put(local, "families/nano/seeds", seeds), NOWHERE)
    with pytest.raises(ConfigError, match=r"families\.nano\.seeds\.1: 1 makes families\.nano-seed1, and there is"):
        complete_config(put(config, "families/nano-seed1", {"strong": "nano-weak", "weak": "nano-weak"}), NOWHERE)
    with pytest.raises(ConfigError, match=r"families\.nano\.seeds\.1: 1 makes models\.nano-strong-seed1, and there"):
        complete_config(put(config, "models/nano-strong-seed1", {"source": "hub", "repo": "a/b"}), NOWHERE)
