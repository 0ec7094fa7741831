"""Wrong configurations end before anything runs, and the message names the culprit and what is allowed."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import yaml

from w2sg.study import reference
from w2sg.study.config import ConfigError, check_config, check_sources, load_schema, read_switches
from w2sg.study.families import resolve_family

ROOT = Path(__file__).resolve().parents[3]


def shipped(*studies: str) -> dict:
    merged: dict = {}
    for name in ("datasets", "models", "config", *studies):
        for key, value in yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()).items():
            merged[key] = {**merged[key], **value} if isinstance(merged.get(key), dict) else value
    return merged


@pytest.fixture(scope="module")
def schema() -> dict:
    return load_schema(ROOT / "workflow" / "schemas" / "config.schema.yaml")


def put(config: dict, path: str, value: object) -> dict:
    changed = copy.deepcopy(config)
    *parents, last = path.split("/")
    place = changed
    for key in parents:
        place = place[key]
    place[last] = value
    return changed


def test_switches_of_the_command_line_are_booleans(schema):
    for text, value in {"true": True, "False": False}.items():
        config = put(shipped(), "partial", text)
        read_switches(config, schema)
        assert config["partial"] is value
        check_config(config, schema)
    config = put(shipped(), "partial", "yes")
    read_switches(config, schema)
    with pytest.raises(ConfigError, match="partial"):
        check_config(config, schema)


@pytest.mark.parametrize("studies", [(), ("nano_seeds",), ("nano_spam",), ("paper",)])
def test_shipped_studies_are_right(schema, studies):
    check_config(shipped(*studies), schema)


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        ("heads/lerning_rates", [0.1], ["heads", "unknown key 'lerning_rates'", "allowed here: "]),
        ("metrcis", {}, ["unknown key 'metrcis'", "did you mean 'metrics'"]),
        (
            "heads/paper/batch_size",
            "16",
            ["heads.paper.batch_size", "'16' (str)", "expected integer", "Pairs per step"],
        ),
        ("heads/paper/learning_rates", ["1e-5"], ["heads.paper.learning_rates.0", "write 1.0e-5"]),
        ("heads/paper/learning_rates", [-0.1], ["heads.paper.learning_rates.0", "exclusiveMinimum"]),
        ("heads/margin", "pairs", ["heads.margin", "allowed: pair, single"]),
        ("heads/seeds", [1, 1], ["heads.seeds", "repeats a value"]),
        ("activations/layers", "last", ["activations.layers"]),
        ("activations/device", "gpu", ["activations.device", "auto, cpu, cuda"]),
        ("sweep/families", ["nanno"], ["sweep.families", "no entry 'nanno'", "nano"]),
        ("sweep/datasets", [], ["sweep.datasets"]),
        ("models/nano-strong/dtype", "float16", ["models.nano-strong.dtype", "float32, bfloat16"]),
        ("models/nano-strong/pretraining/steps", 0, ["models.nano-strong.pretraining.steps", "minimum"]),
        ("models/nano-strong/architecture/num_attention_heads", 3, ["models.nano-strong", "multiple"]),
        ("models/pythia-1b/repo", "pythia", ["models.pythia-1b.repo", "owner/name"]),
        ("datasets/newsgroups_tech/corpus", "news", ["datasets.newsgroups_tech.corpus", "no corpus 'news'"]),
        ("datasets/newsgroups_tech/task", "topics", ["datasets.newsgroups_tech.task", "topic"]),
        ("corpora/newsgroups/sha256", "abc", ["corpora.newsgroups.sha256", "64 hexadecimal digits"]),
        ("probe/test_fraction", 1, ["probe.test_fraction"]),
        (
            "probe/test_fraction",
            0.0001,
            ["probe.test_fraction: got 0.0001, which is 0 of the 2000 pairs", "0.0005 to 1"],
        ),
        ("probe/penalty", math.nan, ["probe.penalty: got nan (float), expected number that is finite"]),
        ("probe/splits", ["text"], ["probe.splits: got ['text']", "statistics read the pair split"]),
        ("heads/converged/folds", 5000, ["heads.converged.folds: got 5000", "at most 2000", "newsgroups_tech.pairs"]),
        ("heads/paper/learning_rates", [math.nan], ["heads.paper.learning_rates.0: got nan", "that is finite"]),
        ("metrics/bootstrap", 1000.0, ["metrics.bootstrap: got 1000.0 (float), expected integer (write 1000)"]),
        ("metrics/confidence", math.nan, ["metrics.confidence: got nan", "that is finite"]),
        ("statistics/late", math.inf, ["statistics.late: got inf", "that is finite"]),
        ("activations/layers", [99, 99], ["activations.layers: [99, 99] has non-unique elements"]),
        ("activations/layers", [0, 99], ["activations.layers: got [99], allowed: 0 to 4", "models.nano-strong"]),
        ("activations/layers", [4, -1], ["activations.layers: [4, -1] names a layer", "twice"]),
        ("activations/layers", [1.0], ["activations.layers.0: got 1.0 (float), expected integer"]),
        ("banded", ["nanno"], ["banded: no entry 'nanno' in families", "nano-spam"]),
        ("datasets/newsgroups_tech/pairs", 3, ["datasets.newsgroups_tech.pairs: 3 is less than the minimum of 8"]),
        ("datasets/newsgroups_tech/source", ["corpus"], ["datasets.newsgroups_tech.source: got ['corpus'], allowed: "]),
        ("datasets/newsgroups_tech/corpus", ["news"], ["datasets.newsgroups_tech.corpus: got ['news'], expected"]),
        (
            "models/nano-strong/source",
            ["hub"],
            ["models.nano-strong.source: got ['hub'], allowed: pretrain, local, hub"],
        ),
        (
            "models/nano-strong/pretraining/steps",
            2048.0,
            ["models.nano-strong.pretraining.steps: got 2048.0 (float), expected integer (write 2048)"],
        ),
        (
            "models/nano-strong/pretraining/steps",
            2000,
            ["models.nano-strong.pretraining.steps: got 2000, allowed: a power of two", "multiple of every=64"],
        ),
        (
            "models/nano-strong/pretraining/warmup_steps",
            4096,
            ["models.nano-strong.pretraining.warmup_steps: got 4096, allowed: less than steps=2048"],
        ),
    ],
)
def test_wrong_keys_and_values(schema, path, value, parts):
    with pytest.raises(ConfigError) as caught:
        check_config(put(shipped(), path, value), schema)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        ("families/nano/strong", "nobody", ["families.nano.strong", "no model 'nobody'"]),
        ("families/nano/weak_revision", "step3", ["families.nano.weak_revision", "step2048"]),
        ("families/nano/select", {"first": 400}, ["families.nano.select", "400 revisions wanted"]),
        ("families/nano/select", {"add": ["step600"]}, ["families.nano.select", "'step600'", "step576"]),
    ],
)
def test_wrong_families(path, value, parts):
    with pytest.raises(ConfigError) as caught:
        resolve_family("nano", put(shipped(), path, value), ROOT)
    for part in parts:
        assert part in str(caught.value)


def test_sizes_are_checked_for_the_datasets_of_the_study_where_they_are_known(schema):
    config = put(shipped(), "datasets/other", {**shipped()["datasets"]["newsgroups_tech"], "pairs": 8})
    config = put(config, "heads/converged/folds", 10)
    check_config(config, schema)
    with pytest.raises(ConfigError, match=r"folds: got 10, allowed: at most 8, which is datasets\.other\.pairs"):
        check_config(put(config, "sweep/datasets", ["newsgroups_tech", "other"]), schema)
    mine = {"source": "files", "file": "mine.jsonl", "split": {"seed": 0}}
    check_config(put(put(config, "datasets/mine", mine), "sweep/datasets", ["mine"]), schema)


def test_layers_are_checked_against_swept_models_only(schema):
    """A supervisor keeps its final layer, whatever the list says, and may have fewer."""
    config = put(shipped(), "activations/layers", [-1, 3, 0])
    assert config["models"]["nano-weak"]["architecture"]["num_hidden_layers"] < 3
    check_config(config, schema)
    check_config(put(put(shipped("paper"), "activations/layers", [99]), "banded", []), schema)


def test_missing_files_and_revision_folders_are_named_before_anything_runs(tmp_path):
    config = shipped()
    config["datasets"]["mine"] = {
        "source": "files",
        "files": {"ground_truth": "a", "weak_supervision": "b", "test": "c"},
    }
    local = {"source": "local", "dtype": "float32", "tokens_per_step": 128}
    config["models"]["here"] = {**local, "path": str(tmp_path)}
    config["families"]["here"] = {"strong": "here", "weak": "here"}
    with pytest.raises(ConfigError, match="holds no step<N> folders"):
        resolve_family("here", config, ROOT)
    (tmp_path / "step1").mkdir()
    family = resolve_family("here", config, ROOT)
    (tmp_path / "step1").rmdir()
    with pytest.raises(ConfigError) as caught:
        check_sources(config, {"here": family}, ["mine"])
    assert "datasets.mine: no file a" in str(caught.value)
    assert f"models.here: no revision folder {tmp_path / 'step1'}" in str(caught.value)


def test_the_papers_study_has_154_and_317_revisions():
    config = shipped("paper")
    counts = {name: len(resolve_family(name, config, ROOT).revisions) for name in config["sweep"]["families"]}
    assert counts == {"pythia-6.9b": 154, "olmo-7b": 317}


def test_the_embedded_selection_is_pythias_own_schedule():
    steps = [r.step for r in resolve_family("nano", shipped(), ROOT).revisions]
    assert steps == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *range(640, 2049, 128)]


def test_the_reference_is_up_to_date(schema):
    assert (ROOT / "config" / "README.md").read_text(encoding="utf-8") == reference.reference(schema)
