"""Which pairs the student corrects, and the chance of the pairs in the variance over revisions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.studies import made_metrics
from tests.unit.trajectories.test_correlations import SETTINGS
from w2sg.measures.agreement import collect_answers, compare_answers, pair_errors
from w2sg.tables.files import write_table
from w2sg.tables.schemas import AGREEMENT
from w2sg.trajectories.selection import MEAN_SEED
from w2sg.trajectories.series import collect_series
from w2sg.trajectories.transitions import estimate_transition


def predictions(margins: dict[str, list[float]], seed: int = 0) -> pd.DataFrame:
    rows = [
        {"dataset": "d", "protocol": "paper", "head": head, "seed": seed, "row_id": f"{at:02}", "margin": value}
        for head, values in margins.items()
        for at, value in enumerate(values)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def test_corrected_and_spoiled_pairs_make_the_gain(tmp_path):
    weak = [1.0, -1.0, -1.0, 1.0, 1.0]
    parts = [("f", 0, predictions({"weak": weak, "w2s": [-1.0, -1.0, 1.0, 1.0, -1.0], "ceiling": weak})),
             ("f", 8, predictions({"weak": weak, "w2s": [1.0, 1.0, 1.0, 1.0, 0.0]}))]  # fmt: skip
    answers = collect_answers(parts)
    table = pd.DataFrame(compare_answers(answers)).set_index("step")
    write_table(table.reset_index(), tmp_path / "a.parquet", AGREEMENT, provenance={})
    assert table["corrected"].tolist() == pytest.approx([0.2, 0.4])
    assert table["spoiled"].tolist() == pytest.approx([0.4, 0.1])
    assert table["same_as_last"].tolist() == pytest.approx([0.4, 1.0])
    assert table["error_to_last"].tolist() == pytest.approx([np.std([1, 1, 0, 0, 0.5], ddof=1) / np.sqrt(5), 0.0])
    right = answers["f", "d", "paper", "w2s", MEAN_SEED]
    gain = right[8].mean() - answers["f", "d", "paper", "weak", MEAN_SEED][8].mean()
    assert table.loc[8, "corrected"] - table.loc[8, "spoiled"] == pytest.approx(gain)


def test_other_pairs_than_before_are_refused():
    parts = [("f", 0, predictions({"w2s": [1.0, 1.0]})), ("f", 8, predictions({"w2s": [1.0, 1.0, 1.0]}))]
    with pytest.raises(ValueError, match="family f, step 8: predictions on d are of other pairs"):
        collect_answers(parts)


def test_the_noise_of_the_pairs_is_the_variance_of_equally_accurate_revisions():
    rng, found, seen = np.random.default_rng(0), [], []
    for _ in range(2000):
        common = rng.random(200)  # how hard a pair is, for every revision
        right = (rng.random((5, 200)) < np.where(common < 0.6, 0.95, 0.4)).astype(float)
        found.append(float(pair_errors(right[None]).noise[0, 0]))
        seen.append(right.mean(1).var(ddof=1))
    assert np.mean(found) == pytest.approx(np.mean(seen), rel=0.05)
    couples = [np.var(a - b, ddof=1) / 200 / 2 for i, a in enumerate(right) for b in right[:i]]
    assert found[-1] == pytest.approx(np.mean(couples))


def test_errors_of_late_means_are_those_of_drawing_the_pairs_anew():
    rng, n = np.random.default_rng(0), 400
    draws, single, found = [], [], []
    for _ in range(3000):
        hard = rng.random(n)  # how hard a pair is, for every head
        weak = (hard < 0.7).astype(float)
        student, ceiling = (
            (rng.random((4, n)) < np.where(hard < share, 0.95, 0.3)).astype(float) for share in (0.75, 0.85)
        )
        values = np.stack([student, student - weak, ceiling - weak])
        draws.append(values.mean((1, 2)))
        found.append(pair_errors(values))
        single.append(values.mean(2))
    assert np.mean([one.mean for one in found], axis=0) == pytest.approx(np.cov(np.transpose(draws)), rel=0.08)
    assert np.mean([one.single for one in found], axis=0) == pytest.approx(
        np.var(single, axis=0, ddof=1)[:, 0], rel=0.08
    )
    first, second = np.transpose([(one[:, 0], one[:, 1]) for one in single], (1, 2, 0))  # (3, draws) each
    assert np.mean([one.lasting for one in found], axis=0) == pytest.approx(np.cov(first, second)[:3, 3:], rel=0.08)
    assert (np.diag(found[0].mean) < found[0].single).all()


def test_transitions_take_the_noise_out_at_the_last_layer():
    metrics = made_metrics(effect=True, layers=(1, 4), noise=0.003)
    series = list(collect_series(metrics, confidence=0.95))
    rng, steps = np.random.default_rng(0), series[0].steps.tolist()
    answers = {
        ("nano", "newsgroups_tech", "paper", head, -1): {step: rng.random(2000).round() for step in steps}
        for head in ("w2s", "weak", "ceiling")
    }
    rows = pd.DataFrame(estimate_transition(series, SETTINGS, answers))
    rows = rows[(rows["estimate"] == "fluctuation") & (rows["seed"] == -1)].set_index(["protocol", "layer"])["note"]
    assert rows["paper", 4] == "at the level of sampling noise"
    assert rows["paper", 1] == rows["converged", 4] == "not separated from sampling noise"
