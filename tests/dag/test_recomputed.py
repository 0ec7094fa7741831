"""Every metric of eight revisions equals what plain numpy, scikit-learn and transformers make of the same folders and pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from tests import plain
from w2sg.activations import extraction
from w2sg.activations.features import open_features, split_features
from w2sg.activations.models import load_model
from w2sg.heads import evaluate
from w2sg.heads.supervision import trained
from w2sg.study.sections import Heads, Intervals, Probe
from w2sg.tables.files import read_table
from w2sg.tables.schemas import PAIRS

STEPS = [0, 1, 2, 4, 8, 16, 32, 64]
SETTINGS = {"paper": "selected", "converged": "cv"}
TOLERANCE = {
    "accuracy": 1e-9,
    "gain": 1e-9,
    "agreement": 1e-9,
    "pgr": 1e-9,
    "ece": 1e-5,
    "log_loss": 1e-3,
    "auroc": 1e-2,
}
"""AUROC jumps by 1 / 288 where two margins that differ by rounding change places; a probe stops at a relative gradient of 1e-4."""


@pytest.mark.parametrize(("dataset", "pool"), [("mine", "last"), ("posts", "mean")])
def test_the_metrics_of_eight_revisions_are_recomputed(finished, tmp_path, dataset, pool):
    folder, config = finished.folder, finished.config
    pairs = read_table(folder / f"resources/pairs/{dataset}.parquet", PAIRS)
    heads, probe = Heads.model_validate(config["heads"]), Probe()
    sections = {"heads": heads, "intervals": Intervals(bootstrap=20)}
    settings = extraction.Settings(**config["activations"] | {"layers": "final"}, dtype="float32")

    def package(model: str, step: int):
        path = folder / f"results/pretrained/{model}/step{step}"
        loaded = load_model(path, dtype="float32", device=torch.device("cpu"))
        keys = {"model": model, "revision": f"step{step}", "commit": ""}
        extraction.write_all_features(
            loaded, {dataset: pairs}, outputs={dataset: tmp_path / "x.safetensors"},
            entries={dataset: config["datasets"][dataset]},
            settings=settings, keys=keys, origins={dataset: {}},
        )  # fmt: skip
        return split_features(open_features(tmp_path / "x.safetensors").read(), pairs)

    def recomputed(model: str, step: int):
        read = plain.Model(folder / f"results/pretrained/{model}/step{step}")
        return {
            split: [
                read.states((rows["prompt"] + rows[side]).tolist(), pool=pool, longest=settings.max_tokens)
                for side in ("chosen", "rejected")
            ]
            for split, rows in pairs.groupby("split")
        }

    def head(protocol: str, states: list[np.ndarray], target: np.ndarray, seed: int) -> np.ndarray:
        difference = states[0] - states[1]
        if protocol == "paper":
            rates, batch = heads.paper.learning_rates, heads.paper.batch_size
            return plain.paper_head(difference, target, seed=seed, rates=rates, batch=batch)
        penalties, folds = heads.converged.penalties, heads.converged.folds
        return plain.converged_head(difference, target, seed=seed, penalties=penalties, folds=folds)

    def compare(rows: pd.DataFrame, expected: dict[str, float], **cells) -> None:
        for column, value in cells.items():
            rows = rows[rows[column] == value]
        found = rows.set_index("metric")["value"]
        for metric, value in expected.items():
            assert found[metric] == pytest.approx(value, abs=TOLERANCE[metric], nan_ok=True), (metric, cells)

    supervision = trained.supervise(package("smoke-weak", 64), **sections)
    weak_states, supervisor = recomputed("smoke-weak", 64), {}
    for seed in heads.seeds:
        for protocol, setting in SETTINGS.items():
            true = np.ones(len(weak_states["ground_truth"][0]))
            w = head(protocol, weak_states["ground_truth"], true, seed)
            supervisor[protocol, seed] = {split: (a - b) @ w for split, (a, b) in weak_states.items()}
            shown = supervisor[protocol, seed]["test"]
            compare(
                supervision.metrics, plain.metrics(shown), head="weak", protocol=protocol, setting=setting, seed=seed
            )
            own = head(protocol, weak_states["weak_supervision"], _soft(supervisor[protocol, seed]), seed)
            margin = (weak_states["test"][0] - weak_states["test"][1]) @ own
            cells = {"head": "weak_on_weak", "protocol": protocol, "setting": setting, "seed": seed}
            compare(supervision.metrics, plain.metrics(margin, shown), **cells)
    for step in STEPS:
        splits = package("smoke-strong", step)
        rows = evaluate.evaluate_revision([lambda s=splits: s], supervision.labels, probe=probe, **sections).metrics
        states = recomputed("smoke-strong", step)
        difference = states["test"][0] - states["test"][1]
        for seed in heads.seeds:
            expected = plain.probe(*states["ground_truth"], seed=seed, penalty=probe.penalty, share=probe.test_fraction)
            compare(rows, expected, head="probe", protocol="pair", seed=seed)
            for protocol, setting in SETTINGS.items():
                cells = {"protocol": protocol, "setting": setting, "seed": seed}
                known = supervisor[protocol, seed]
                true = np.ones(len(states["ground_truth"][0]))
                ceiling = difference @ head(protocol, states["ground_truth"], true, seed)
                student = difference @ head(protocol, states["weak_supervision"], _soft(known), seed)
                compare(rows, plain.metrics(ceiling, known["test"]), head="ceiling", **cells)
                compare(rows, plain.metrics(student, known["test"], ceiling), head="w2s", **cells)


def test_the_evaluation_loss_is_recomputed(finished):
    table = pd.read_parquet(finished.folder / "results/smoke/tables/metrics.parquet")
    corpus = pd.read_parquet(finished.folder / "resources/corpora/tiny.parquet")
    held = corpus[corpus["part"] == "heldout"].sort_values("doc_id")["text"].tolist()
    wanted = finished.config["evaluation"]["documents"]
    texts = [held[place * len(held) // wanted] for place in range(wanted)]
    rows = table[(table["family"] == "smoke") & (table["metric"] == "nats_per_token")]
    assert len(rows) == 3
    for row in rows.itertuples():
        read = plain.Model(finished.folder / f"results/pretrained/smoke-strong/{row.revision}")
        assert read.loss(texts, window=32) == pytest.approx(row.value, abs=1e-6)


def _soft(margins: dict[str, np.ndarray]) -> np.ndarray:
    """The supervisor's probabilities of the pairs that it labels."""
    return plain.sigmoid(margins["weak_supervision"])
