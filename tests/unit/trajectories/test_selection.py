"""The headline rows: read from a file as from a frame, one row per layer and revision, and of the last layer."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.studies import STEPS, made_metrics
from w2sg.tables.files import read_table, write_table
from w2sg.tables.schemas import METRICS
from w2sg.trajectories import selection


@pytest.fixture(scope="module")
def metrics() -> pd.DataFrame:
    """The headline rows, and beside them a setting that is none."""
    made = made_metrics(effect=True, layers=(0, 2, 4))
    other = made[made["head"].isin(["w2s", "ceiling"])].assign(setting="other", value=0.0)
    return pd.concat([made, other], ignore_index=True)


def test_a_file_is_read_down_to_the_rows_that_series_rest_on(metrics, tmp_path):
    write_table(metrics, tmp_path / "metrics.parquet", METRICS, provenance={})
    read = read_table(tmp_path / "metrics.parquet", METRICS, where=selection.headline_rows())
    chosen = pd.concat([selection.rows_with(metrics, **cells) for cells in selection.series_cells()])
    keys = list(METRICS.keys)
    pd.testing.assert_frame_equal(
        read.sort_values(keys, ignore_index=True), chosen.sort_values(keys, ignore_index=True), check_dtype=False
    )
    assert set(read["head"]) == {"w2s", "ceiling", "probe", "probe_plain", "subspace", "model"} and "other" not in set(
        read["setting"]
    )


def test_means_are_over_seeds_of_the_headline_setting(metrics):
    rows = selection.case_rows(metrics, family="nano", dataset="newsgroups_tech")
    assert selection.trained_layers(rows) == [0, 2, 4]
    found = selection.seed_means(rows, "w2s", "accuracy", "paper")
    assert len(found) == 3 * len(STEPS) and (found["value"] > 0.5).all()
    last = selection.final_means(rows, "w2s", "accuracy", "paper")
    assert last["step"].tolist() == STEPS and set(last["layer"]) == {4}
    assert selection.final_means(rows, "model", "nats_per_token")["step"].tolist() == STEPS
    text = selection.final_means(rows, "probe", "accuracy", split="text")["value"]
    assert (text.to_numpy() - selection.final_means(rows, "probe", "accuracy")["value"]).tolist() == pytest.approx(
        [0.01] * len(STEPS)
    )


def test_a_case_that_was_not_measured_is_named(metrics):
    with pytest.raises(ValueError, match="no W2SG accuracies of family nano on dataset other"):
        selection.case_rows(metrics, family="nano", dataset="other")


def test_statistics_are_those_of_the_last_layer_and_of_no_single_seed():
    rows = [("f", "d", p, layer, seed, "onset_step", layer) for p in ("paper", "converged", "converged_minus_paper")
            for layer in (1, 3) for seed in (-1, 0)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["family", "dataset", "protocol", "layer", "seed", "estimate", "value"])
    found = selection.headline_statistics(table, estimate="onset_step")
    assert found["protocol"].tolist() == ["paper", "converged"]
    assert set(found["layer"]) == {3} and set(found["seed"]) == {-1}
    assert selection.headline_statistics(table, estimate="none").empty
