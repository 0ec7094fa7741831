"""Wrong configurations end before anything runs, and the message names file, line, culprit and what is allowed."""

from __future__ import annotations

import copy
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from w2sg.study.config import Origins, check_sources, complete_config, fewest_pairs, lay_over
from w2sg.study.families import resolve_family
from w2sg.study.fields import ConfigError

ROOT = Path(__file__).resolve().parents[3]
NOWHERE = Origins(files=[], words=[], parsed={})


def shipped(*studies: str) -> dict:
    """The shipped configuration with studies laid over it, as Snakemake does."""
    return lay_over([ROOT / "config" / f"{name}.yaml" for name in ("datasets", "models", "config", *studies)], {})


def put(config: dict, path: str, value: object) -> dict:
    changed = copy.deepcopy(config)
    *parents, last = path.split("/")
    place = changed
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    return changed


@pytest.mark.parametrize("study", ["paper", "pythia_70m"])
def test_studies_of_published_models_score_pinned_ordinary_text(study):
    config = complete_config(shipped(study), NOWHERE)
    text = config["corpora"][config["evaluation"]["corpus"]]
    assert text["source"] == "hub"
    assert re.fullmatch("[0-9a-f]{40}", text["revision"])


STUDIES = sorted(path.stem for path in (ROOT / "config").glob("*_*.yaml")) + ["paper"]


@pytest.mark.parametrize(
    "studies", [(), ("paper", "paper_adaptive"), *((one,) for one in STUDIES if one != "paper_adaptive")]
)
def test_shipped_studies_are_right(studies):
    checked = complete_config(shipped(*studies), NOWHERE)
    assert complete_config(checked, NOWHERE) == checked
    assert checked["heads"]["paper"]["learning_rates"] == [1e-5, 1e-4, 1e-3, 5e-3, 1e-2]


def test_neither_order_nor_a_default_that_is_written_out_changes_what_jobs_see():
    config = shipped()
    turned = {key: dict(reversed(value.items())) if isinstance(value, dict) else value for key, value in config.items()}
    turned = put(dict(reversed(turned.items())), "heads/margin", "pair")
    assert repr(complete_config(turned, NOWHERE)) == repr(complete_config(config, NOWHERE))


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        (
            "heads/lerning_rates",
            [0.1],
            ["heads: unknown key 'lerning_rates'", "allowed here: cleaning, converged, loss, margin, paper, seeds"],
        ),
        ("intervls", {}, ["unknown key 'intervls'; did you mean 'intervals'?", "allowed here: activations, "]),
        ("metrics", {"bootstrap": 50}, ["unknown key 'metrics'; did you mean 'intervals'?"]),
        ("heads/paper/batch_size", "16", ["heads.paper.batch_size: got '16' (text), expected an integer (remove the quotes). Pairs"]),
        ("heads/paper/learning_rates", ["1e-5"], ["learning_rates.0: got '1e-5' (text), expected a number (YAML reads 1e-5 as text: write 1.0e-5)"]),
        ("heads/paper/learning_rates", [-0.1], ["heads.paper.learning_rates.0: got -0.1, allowed: more than 0. All are trained"]),
        ("heads/paper/learning_rates", 0.1, ["heads.paper.learning_rates: got 0.1 (a number), expected a list. All"]),
        ("heads/paper", [], ["heads.paper: got [] (a list), expected a mapping. One epoch"]),
        ("heads/margin", "pairs", ["heads.margin: got 'pairs', allowed: pair, single. pair: s(a) - s(b)"]),
        ("heads/cleaning", {"by": "topo"}, ["heads.cleaning.by: got 'topo', allowed: knn, probe"]),
        ("heads/cleaning", {"by": "probe", "neighbours": 5}, ["heads.cleaning.neighbours: cleaning by probe", "has none; remove neighbours"]),
        ("heads/cleaning", {"by": "knn", "keep": 0.2}, ["heads.cleaning.keep: cleaning by knn with action relabel has none"]),
        ("heads/cleaning", {"by": "knn", "neighbours": 1000}, ["heads.cleaning.neighbours: got 1000, allowed: at most 999", "newsgroups_tech"]),
        ("heads/cleaning", {"by": "knn", "action": "filter", "keep": 0.002}, ["heads.cleaning.keep: 4 of the 2000 pairs", "folds needs 5"]),
        ("heads/margin", None, ["heads.margin: got None, allowed: pair, single"]),
        ("heads/seeds", [2**63 - 1, 2**63], ["heads.seeds.1: got 9223372036854775808, allowed: less than 9.22337e+18"]),
        ("models/nano-strong/pretraining/seed", 2**64, ["nano-strong.pretraining.seed: got", "allowed: less than"]),
        ("heads/seeds", [1, 1], ["heads.seeds: [1, 1] repeats a value"]),
        ("partial", "yes", ["partial: got 'yes' (text), expected true or false. Join"]),
        ("study", "s" * 121, [" (121 characters), allowed: at most 120. Name of the study"]),
        ("study", "abc" * 20, ["study: got 'abcabc", "expected a name that does not end in the same letters twenty times"]),
        ("scratch", "a\0b", ["scratch: got 'a\\x00b', expected a path without line breaks and NUL characters"]),
        ("scratch", "a/" + "b" * 256, ["(258 bytes), expected a path of at most 4000 bytes, 255 for each folder and file"]),
        ("intervals/bootstrap", 10**13, ["intervals.bootstrap: got 10000000000000, allowed: at most 100000"]),
        ("study", 2024, ["study: got 2024 (an integer), expected text (put it in quotes). Name of the study"]),
        ("study", "a b", ["study: got 'a b', expected letters, digits, dot, dash or underscore"]),
        ("activations/layers", "last", ["activations.layers: got 'last', allowed: all, final. Hidden states", "or a list of indices"]),
        ("activations/device", "gpu", ["activations.device", "auto, cpu, cuda"]),
        ("activations/max_tokens", True, ["activations.max_tokens: got True (true or false), expected an integer"]),
        ("sweep/families", ["nanno"], ["sweep.families.0: no entry 'nanno' in families; did you mean 'nano'? there are: "]),
        ("sweep/datasets", ["newsgroup_tech"], ["sweep.datasets.0", "did you mean 'newsgroups_tech'?"]),
        ("sweep/datasets", [], ["sweep.datasets: got [], expected at least 1 of them. Names from datasets"]),
        ("sweep", {"families": ["nano"]}, ["sweep: missing key 'datasets'. Names from datasets"]),
        ("models/nano-strong/dtype", "float16", ["models.nano-strong.dtype", "float32, bfloat16"]),
        ("models/nano-strong/pretraining/steps", 0, ["nano-strong.pretraining.steps: got 0, allowed: at least 1"]),
        ("models/nano-strong/architecture/num_attention_heads", 3, ["nano-strong.architecture.hidden_size: got 128, allowed: a multiple of"]),
        ("models/pythia-1b/repo", "pythia", ["models.pythia-1b.repo: got 'pythia', expected owner/name."]),
        ("models/a b", {"source": "hub", "repo": "a/b"}, ["models.a b: got 'a b', expected letters"]),
        ("datasets/newsgroups_tech/corpus", "newsgroup", ["newsgroups_tech.corpus: no entry 'newsgroup' in corpora; did you mean 'newsgroups'?"]),
        ("datasets/newsgroups_tech/corpus", "c4_news", ["newsgroups_tech.corpus: 'c4_news' is a text of source hub, which only evaluation can name"]),
        ("models/nano-strong/corpus", "c4_news", ["models.nano-strong.corpus: 'c4_news' is a text", "expected a corpus of source pypi, npm or path"]),
        ("evaluation/corpus", "c4_new", ["evaluation.corpus: no entry 'c4_new' in corpora; did you mean 'c4_news'?"]),
        ("evaluation/source", "hub", ["evaluation: unknown key 'source'; allowed here: corpus, documents"]),
        ("datasets/newsgroups_tech/task", "topics", ["datasets.newsgroups_tech.task: got 'topics', allowed: topic, order"]),
        ("corpora/newsgroups/evaluation", {}, ["corpora.newsgroups: unknown key 'evaluation'; did you mean 'pair_texts'?"]),
        ("corpora/newsgroups/sha256", "abc", ["corpora.newsgroups.sha256: got 'abc', expected 64 hexadecimal digits"]),
        ("families/nano/strong", "nano-string", ["families.nano.strong: no entry 'nano-string' in models; did you mean 'nano-strong'?"]),
        ("probe/test_fraction", 1, ["probe.test_fraction: got 1, allowed: less than 1"]),
        ("probe/test_fraction", 0.0001, ["probe.test_fraction: got 0.0001, which is 0 of the 2000 pairs", "0.0005 to 1"]),
        ("probe/penalty", math.nan, ["probe.penalty: got nan (a number), expected a number that is finite"]),
        ("probe/splits", ["text"], ["probe.splits: got ['text']", "statistics read the pair split"]),
        ("heads/converged/folds", 5000, ["heads.converged.folds: got 5000", "at most 2000", "newsgroups_tech.pairs"]),
        ("heads/paper/learning_rates", [math.nan], ["heads.paper.learning_rates.0: got nan", "that is finite"]),
        ("intervals/bootstrap", 1000.0, ["intervals.bootstrap: got 1000.0 (a number), expected an integer (write 1000)"]),
        ("intervals/confidence", math.nan, ["intervals.confidence: got nan", "that is finite"]),
        ("statistics/confidence", 0.99, ["statistics.confidence: got 0.99, intervals.confidence is 0.95", "must be equal"]),
        ("statistics/late", math.inf, ["statistics.late: got inf", "that is finite"]),
        ("activations/layers", [99, 99], ["activations.layers: [99, 99] repeats a value"]),
        ("activations/layers", [0, 99], ["activations.layers: got [99], allowed: 0 to 4", "models.nano-strong"]),
        ("activations/layers", [4, -1], ["activations.layers: [4, -1] names a layer", "twice"]),
        ("activations/layers", [1.0], ["activations.layers.0: got 1.0 (a number), expected an integer (write 1)"]),
        ("banded", ["nanno"], ["banded.0: no entry 'nanno' in families", "nano-spam"]),
        ("datasets/newsgroups_tech/minimum", 2, ["datasets.newsgroups_tech.minimum: got 2, allowed: at least 3"]),
        ("datasets/newsgroups_tech/pairs", 3, ["datasets.newsgroups_tech.pairs: got 3, allowed: at least 8"]),
        ("datasets/newsgroups_tech/source", ["corpus"], ["datasets.newsgroups_tech.source: got ['corpus'], allowed: corpus, files, hub"]),
        ("datasets/newsgroups_tech/corpus", ["news"], ["datasets.newsgroups_tech.corpus: got ['news'] (a list), expected text"]),
        ("models/nano-strong/source", ["hub"], ["models.nano-strong.source: got ['hub'], allowed: pretrain, local, hub"]),
        ("models/nano-strong/pretraining/steps", 2048.0, ["nano-strong.pretraining.steps: got 2048.0 (a number), expected an integer (write 2048)"]),
        ("models/nano-strong/pretraining/steps", 2000, ["nano-strong.pretraining.steps: got 2000, allowed: a power of two", "multiple of every=64"]),
        ("models/nano-strong/pretraining/warmup_steps", 4096, ["nano-strong.pretraining.warmup_steps: got 4096, allowed: less than steps=2048"]),
    ],
)  # fmt: skip
def test_wrong_keys_and_values(path, value, parts):
    with pytest.raises(ConfigError) as caught:
        complete_config(put(shipped(), path, value), NOWHERE)
    for part in parts:
        assert part in str(caught.value)


def test_several_mistakes_are_told_at_once():
    config = put(put(put(shipped(), "heads/margin", "both"), "mine", 1), "datasets/spam/pool", "max")
    with pytest.raises(ConfigError) as caught:
        complete_config(config, NOWHERE)
    assert [mistake.where for mistake in caught.value.mistakes] == [
        ("heads", "margin"),
        ("datasets", "spam", "pool"),
        ("mine",),
    ]


def origins(tmp_path, **texts: str) -> Origins:
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return Origins(files=[tmp_path / f"{name}.yaml" for name in texts], words=[], parsed={})


def test_a_mistake_is_found_in_the_last_file_that_says_it(tmp_path, monkeypatch):
    first = "study: a\nheads:\n  margin: pairs\n  seeds: [0, 1, x]\n"
    last = "heads:\n  loss: soft\n  paper: {epochs: 0}\nbase: &base\n  penalty: 0\nprobe: {<<: *base, splits: []}\n"
    found = origins(tmp_path, first=first, last=last)
    monkeypatch.chdir(tmp_path)
    assert found.place(("heads", "margin")) == "first.yaml, line 3"
    assert found.place(("heads", "seeds", 2)) == "first.yaml, line 4"
    assert found.place(("heads", "paper", "epochs")) == "last.yaml, line 3"
    assert found.place(("heads", "converged", "folds")) == "last.yaml, line 1"  # a missing key belongs to its section
    assert found.place(("probe", "penalty")) == "last.yaml, line 5"
    assert found.place(("probe", "splits")) == "last.yaml, line 6"
    assert found.place(("sweep",)) == ""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert found.place(("study",)) == f"{tmp_path / 'first.yaml'}, line 1"


def test_files_that_cannot_be_read_again_name_nothing(tmp_path):
    found = origins(tmp_path, broken="a: [", empty="")
    assert Origins(files=[*found.files, tmp_path / "gone.yaml"], words=[], parsed={}).place(("a",)) == ""


def test_every_mistake_is_described_with_its_place(tmp_path):
    text = "heads: {margin: both}\nsweep:\n  datasets: [none]\n"
    found = origins(tmp_path, mine=text)
    config = put(put(shipped(), "heads/margin", "both"), "sweep/datasets", ["none"])
    with pytest.raises(ConfigError) as caught:
        complete_config(config, found)
    assert f"\n  - {tmp_path / 'mine.yaml'}, line 1: heads.margin: got 'both'" in found.describe(caught.value)
    config["heads"]["margin"] = "pair"
    with pytest.raises(ConfigError) as caught:
        complete_config(config, found)
    assert f"\n  - {tmp_path / 'mine.yaml'}, line 3: sweep.datasets.0: no entry 'none'" in found.describe(caught.value)


def test_a_key_that_a_file_holds_twice_is_named_with_both_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    twice = "heads:\n  margin: pair\nbase: &b {x: 1}\nfamilies:\n  nano: {<<: *b, x: 2}\n  'nano': {weak: w}\nheads: {loss: soft}\n"
    once = "a: &a {x: 1}\nb: &b {y: 1}\nc: {<<: *a, <<: *b, x: 2}\nd: [*a, *a, {x: 1}, {x: 1}]\n1: n\n'1': m\n"
    with pytest.raises(ConfigError) as caught:
        complete_config(shipped(), origins(tmp_path, once=once, twice=twice))
    assert [str(one).split(" stands")[0] for one in caught.value.mistakes] == [
        "twice.yaml, lines 1 and 7: heads",
        "twice.yaml, lines 5 and 6: families.nano",
    ]
    (tmp_path / "loop.yaml").write_text("a: &a {b: *a, c: {d: 1, d: 2}}\n")
    with pytest.raises(ConfigError, match="lines 1 and 1: a.c.d stands twice"):
        complete_config(shipped(), Origins(files=[tmp_path / "loop.yaml"], words=[], parsed={}))


def test_sizes_are_checked_for_the_datasets_of_the_study_where_they_are_known():
    config = put(shipped(), "datasets/other", {**shipped()["datasets"]["newsgroups_tech"], "pairs": 8})
    config = put(config, "heads/converged/folds", 10)
    complete_config(config, NOWHERE)
    with pytest.raises(ConfigError, match=r"folds: got 10, allowed: at most 8, which is datasets\.other\.pairs"):
        complete_config(put(config, "sweep/datasets", ["newsgroups_tech", "other"]), NOWHERE)
    mine = {"source": "files", "file": "mine.jsonl", "split": {"seed": 0}}
    complete_config(put(put(config, "datasets/mine", mine), "sweep/datasets", ["mine"]), NOWHERE)


def test_layers_are_checked_against_swept_models_only():
    """A supervisor keeps its final layer, whatever the list says, and may have fewer."""
    config = put(shipped(), "activations/layers", [-1, 3, 0])
    assert config["models"]["nano-weak"]["architecture"]["num_hidden_layers"] < 3
    complete_config(config, NOWHERE)
    complete_config(put(put(shipped("paper"), "activations/layers", [99]), "banded", []), NOWHERE)


def test_the_sections_load_nothing_heavy():
    code = "import sys; import w2sg.study.config; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "pandas", "pyarrow", "scipy", "jsonschema"} & set(loaded.stdout.split())


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        (
            "families/nano/weak_revision",
            "step3",
            ["families.nano.weak_revision: no revision 'step3'; did you mean 'step32'? the last is 'step2048'"],
        ),
        ("families/nano/select", {"first": 400}, ["families.nano.select", "400 revisions wanted"]),
        ("families/nano/select", {"add": ["step600"]}, ["families.nano.select: add: no revision 'step600'", "step576"]),
    ],
)
def test_wrong_families(path, value, parts):
    with pytest.raises(ConfigError) as caught:
        resolve_family("nano", complete_config(put(shipped(), path, value), NOWHERE), ROOT)
    for part in parts:
        assert part in str(caught.value)


def test_missing_files_and_revision_folders_are_named_before_anything_runs(tmp_path):
    config = shipped()
    config["datasets"]["mine"] = {
        "source": "files",
        "files": {"ground_truth": "a", "weak_supervision": "b", "test": "c"},
    }
    local = {"source": "local", "dtype": "float32", "tokens_per_step": 128}
    config["models"]["here"] = {**local, "path": str(tmp_path)}
    config["families"]["here"] = {"strong": "here", "weak": "here"}
    config = complete_config(config, NOWHERE)
    with pytest.raises(ConfigError, match="holds neither a model .config.json. nor folders named step<N>"):
        resolve_family("here", config, ROOT)
    (tmp_path / "step1").mkdir()
    family = resolve_family("here", config, ROOT)
    (tmp_path / "step1").rmdir()
    with pytest.raises(ConfigError) as caught:
        check_sources(config, {"here": family}, ["mine"])
    assert "datasets.mine: no file a" in str(caught.value)
    assert f"models.here.path: no revision folder {tmp_path / 'step1'}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "found"), [("pairs{dataset}", "{dataset}"), ("{ 1 }x", "{ 1 }"), ("{a,b}", "{a,b}"), ("a<b_1>", "<b_1>")]
)
def test_a_path_that_snakemake_would_fill_in_is_refused(name, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(f"{name}.jsonl").touch()
    mine = {"source": "files", "file": f"{name}.jsonl", "split": {"seed": 0}}
    config = complete_config(put(shipped(), "datasets/mine", mine), NOWHERE)
    with pytest.raises(
        ConfigError, match=f"datasets.mine: {name}.jsonl: Snakemake takes {found} in a path for a wildcard"
    ):
        check_sources(config, {}, ["mine"])
    Path("{}{a b}<B>.jsonl").touch()
    check_sources(put(config, "datasets/mine/file", "{}{a b}<B>.jsonl"), {}, ["mine"])


def test_the_papers_study_has_154_and_317_revisions():
    config = complete_config(shipped("paper"), NOWHERE)
    counts = {name: len(resolve_family(name, config, ROOT).revisions) for name in config["sweep"]["families"]}
    assert counts == {"pythia-6.9b": 154, "olmo-7b": 317}


def test_the_embedded_selection_is_every_second_revision_and_one_more():
    steps = [r.step for r in resolve_family("nano", complete_config(shipped(), NOWHERE), ROOT).revisions]
    assert steps == [0, 2, 8, 32, 128, 256, 512, *range(640, 2049, 128)]


@pytest.mark.parametrize(
    ("path", "value", "least"),
    [
        ("probe/test_fraction", 0.2, 3),
        ("supervisors", {"m": {"source": "mean", "of": ["nano-weak", "nano-strong"], "keep": 0.01}}, 251),
        ("heads/cleaning", {"by": "probe", "action": "filter", "keep": 0.01}, 451),
        ("heads/cleaning", {"by": "knn", "neighbours": 100}, 202),
    ],
)
def test_the_fewest_pairs_are_those_that_what_is_left_out_leaves_enough_of(path, value, least):
    config = complete_config(put(shipped(), path, value), NOWHERE)
    assert fewest_pairs(config) == least


@pytest.mark.parametrize(
    ("resamples", "confidence", "least"), [(20, 0.99, 100), (1000, 0.9999, "10,000"), (20, 0.96, 25)]
)
def test_percentiles_need_as_many_resamples_as_their_confidence_asks_for(resamples, confidence, least):
    config = put(shipped(), "intervals", {"bootstrap": resamples, "confidence": confidence})
    with pytest.raises(
        ConfigError,
        match=f"intervals.bootstrap: got {resamples}, allowed: at least {least} with confidence {confidence}",
    ):
        complete_config(config, NOWHERE)
