"""Plotted tables and figures on made-up trajectories with a known answer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib import pyplot as plt

from tests.studies import STEPS, WEAK, made_floors, made_metrics
from w2sg.plotting import style
from w2sg.report import charts, figure_tables, plots
from w2sg.report.catalogue import FIGURES, as_percent
from w2sg.tables import schemas
from w2sg.tables.files import read_table, write_table
from w2sg.trajectories.selection import shown_rows

CHOICE: dict[str, Any] = {"family": "nano", "dataset": "newsgroups_tech", "confidence": 0.95}


@pytest.fixture(scope="module")
def metrics() -> pd.DataFrame:
    return made_metrics(effect=True, layers=(0, 2, 4))


def with_token_floor(metrics: pd.DataFrame) -> pd.DataFrame:
    """With the row that a supervisor's tokenizer adds, as the report reads it from the long table."""
    keys = {"head": "floor", "protocol": "none", "setting": "fewer_tokens", "layer": -1, "metric": "accuracy"}
    row = metrics[metrics["head"] == "weak"].head(1).assign(**keys, value=0.59, low=0.57, high=0.61)
    return pa.Table.from_pandas(pd.concat([metrics, row])).filter(shown_rows("nano")).to_pandas()


def shown(name: str, metrics: pd.DataFrame) -> pd.DataFrame:
    return figure_tables.figure_table(name, metrics, made_floors(), **CHOICE)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_from_its_table_alone(name, metrics, tmp_path):
    plt.style.use(style.STYLE)
    write_table(shown(name, metrics), tmp_path / "table.parquet", schemas.FIGURE, provenance={})
    kept = read_table(tmp_path / "table.parquet", schemas.FIGURE)
    style.save_figure(
        plots.plot_figure(name, kept, title="nano", confidence=0.95), {"pdf": tmp_path / "figure.pdf"}, {}
    )
    assert (tmp_path / "figure.pdf").stat().st_size > 5_000


def test_a_figure_is_written_alike_each_time(metrics, tmp_path):
    table = shown("layers", metrics)
    for run in ("a", "b"):
        paths = {kind: tmp_path / f"{run}.{kind}" for kind in style.METADATA}
        style.save_figure(plots.plot_figure("layers", table, title="nano", confidence=0.95), paths, {})
    for kind in style.METADATA:
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_a_trajectory_shows_each_quantity_supervisor_and_floors(metrics):
    table = shown("trajectory", with_token_floor(metrics))
    paper = table[table["panel"] == "paper"].set_index("series")
    levels = {"floor:longer_response", "floor:tfidf", "floor:fewer_tokens"}
    assert set(paper.index) == {"w2s", "ceiling", "probe", "weak", *levels}
    assert paper.loc["floor:fewer_tokens", ["value", "low", "high"]].tolist() == [0.59, 0.57, 0.61]
    assert levels <= set(style.LABELS) & set(plots.FLOOR_STYLES)
    charted = charts.chart_rows(with_token_floor(metrics), made_floors(), family="nano", dataset="newsgroups_tech")
    assert charted.loc[charted["series"] == "floor:fewer_tokens", "value"].tolist() == [0.59]
    assert levels < set(charted["series"])
    assert paper.loc["w2s", "step"].tolist() == STEPS
    assert set(table["layer"]) == {-1, 2, 4}
    assert paper.loc["weak", "value"] == WEAK
    assert paper.loc["w2s", "value"].to_numpy()[-1] == pytest.approx(0.78, abs=1e-3)
    figure = plots.plot_figure("trajectory", table, title="nano", confidence=0.95)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(labels) == {style.LABELS[name] for name in set(paper.index)}
    plt.close(figure)


def test_figures_and_captions_name_the_coverage_that_was_asked_for(metrics):
    widths = {}
    for confidence in (0.5, 0.995):
        table = figure_tables.figure_table("prediction", metrics, made_floors(), **CHOICE | {"confidence": confidence})
        line = table[table["series"] == "fit"]
        widths[confidence] = (line["high"] - line["low"]).mean()
    assert 0 < widths[0.5] < widths[0.995]
    figure = plots.plot_figure("prediction", table, title="nano", confidence=0.995)
    assert "linear fit, 99.5 % interval" in [text.get_text() for text in figure.legends[0].get_texts()]
    plt.close(figure)
    job = SimpleNamespace(
        wildcards=CHOICE, params={"coverage": {"intervals": as_percent(0.9), "lines": as_percent(0.995)}}
    )
    captions = {path.stem: path for path in (Path(__file__).resolve().parents[3] / "workflow" / "report").glob("*.rst")}
    texts = {name: jinja2.Template(captions[name].read_text()).render(snakemake=job) for name in FIGURES}
    assert all("95 %" not in text for text in texts.values())
    assert all("90 % " in texts[name] for name in ("trajectory", "probe", "recovery", "prediction"))
    assert "pointwise 99.5 % interval" in texts["prediction"]


def test_two_revisions_one_layer_and_no_recovered_gap_are_drawn_too():
    metrics = made_metrics(effect=False, steps=[0, 8])
    for name in FIGURES:
        figure = plots.plot_figure(name, shown(name, metrics), title="two revisions", confidence=0.95)
        assert any(axis.has_data() for axis in figure.axes)
        plt.close(figure)


def test_unknown_figures_and_absent_families_are_named(metrics):
    with pytest.raises(ValueError, match="figure must be one of .*got 'pie'"):
        shown("pie", metrics)
    with pytest.raises(ValueError, match="no W2SG accuracies of family other"):
        figure_tables.figure_table("probe", metrics, made_floors(), **(CHOICE | {"family": "other"}))
