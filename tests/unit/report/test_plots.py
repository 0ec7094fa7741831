"""Plotted tables and figures on made-up trajectories with a known answer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.isotonic import IsotonicRegression

from tests.conclusions import made_conclusions, with_controls
from tests.studies import STEPS, WEAK, made_floors, made_metrics
from w2sg.plotting import style
from w2sg.report import figure_tables, plots
from w2sg.report.catalogue import FIGURES, GROUP_FIGURES, as_percent
from w2sg.tables import schemas
from w2sg.tables.files import read_table, write_table

CHOICE: dict[str, Any] = {"family": "nano", "dataset": "newsgroups_tech"}


@pytest.fixture(scope="module")
def metrics() -> pd.DataFrame:
    return with_controls(made_metrics(effect=True, layers=(0, 2, 4)))


def shown(name: str, metrics: pd.DataFrame) -> pd.DataFrame:
    return figure_tables.figure_table(name, metrics, made_floors(), **CHOICE)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_from_its_table_alone(name, metrics, tmp_path):
    plt.style.use(style.STYLE)
    write_table(shown(name, metrics), tmp_path / "table.parquet", schemas.FIGURE, provenance={})
    kept = read_table(tmp_path / "table.parquet", schemas.FIGURE)
    style.save_figure(plots.plot_figure(name, kept, title="nano"), {"pdf": tmp_path / "figure.pdf"}, {})
    assert (tmp_path / "figure.pdf").stat().st_size > 5_000


def test_a_figure_is_written_alike_each_time(metrics, tmp_path):
    table = shown("layers", metrics)
    for run in ("a", "b"):
        paths = {kind: tmp_path / f"{run}.{kind}" for kind in style.METADATA}
        style.save_figure(plots.plot_figure("layers", table, title="nano"), paths, {})
    for kind in style.METADATA:
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def labels(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_trajectory_shows_each_quantity_its_controls_supervisor_and_floors(metrics):
    table = shown("trajectory", metrics)
    paper = table[table["panel"] == "paper"].set_index("series")
    floors = {"floor:longer_response", "floor:tfidf", "floor:fewer_tokens"}
    assert set(paper.index) == {"w2s", "ceiling", "probe", "permuted", "twin:step0", "weak", "weak_on_weak"} | floors
    assert paper.loc["w2s", "step"].tolist() == STEPS
    assert set(table["layer"]) == {-1, 2, 4}
    assert paper.loc["weak", "value"] == WEAK
    assert paper.loc["w2s", "value"].to_numpy()[-1] == pytest.approx(0.78, abs=1e-3)
    assert paper.loc["twin:step0", "value"] == paper.loc["w2s", "value"].iloc[0]
    figure = plots.plot_figure("trajectory", table, title="nano")
    named = {style.LABELS[name] for name in set(paper.index) - {"twin:step0"}} | {"random twin (step 0)"}
    assert sorted(labels(figure)) == sorted(named)
    for axis in figure.axes[:2]:
        marks = [line for line in axis.lines if not line.get_label().startswith("_")]
        assert {line.get_label() for line in marks} == named
        widths = {line.get_label(): line.get_linewidth() for line in marks}
        assert max(widths[style.LABELS[name]] for name in plots.THIN) < widths[style.LABELS["w2s"]]
    assert figure.axes[2].get_ylabel() == "nats/token on\nnewsgroups"
    plt.close(figure)


def test_a_first_revision_that_has_learned_is_no_random_twin(metrics):
    table = shown("trajectory", metrics[metrics["step"] > 0])
    assert not table["series"].str.startswith("twin").any()
    figure = plots.plot_figure("trajectory", table, title="nano")
    assert not any("twin" in label for label in labels(figure))
    plt.close(figure)


def test_bits_per_byte_stand_beside_nats(metrics):
    table = shown("trajectory", metrics)
    figure = plots.plot_figure("trajectory", table, title="nano")
    (right,) = figure.axes[3].child_axes
    figure.draw_without_rendering()
    low, high = figure.axes[3].get_ylim()
    assert right.get_ylim() == pytest.approx((0.35 * low, 0.35 * high))
    assert right.get_ylabel() == "bits/byte"
    plt.close(figure)


@pytest.fixture(scope="module")
def seeds(metrics) -> pd.DataFrame:
    own = metrics[metrics["layer"].isin([-1, 2, 4])]
    return pd.concat([own.assign(family=f"nano-seed{seed}", value=own["value"] + 0.01 * seed) for seed in range(3)])


def test_seeds_are_thin_and_their_mean_is_thick(seeds):
    members = [f"nano-seed{seed}" for seed in range(3)]
    table = figure_tables.group_table("trajectory", seeds, made_floors(), members=members, dataset="newsgroups_tech")
    paper = table[table["panel"] == "paper"]
    values = {
        name: paper[paper["series"] == name].sort_values("step")["value"].to_numpy() for name in set(paper["series"])
    }
    assert values["w2s"] == pytest.approx(sum(values[f"w2s@{member}"] for member in members) / 3)
    figure = plots.plot_figure("trajectory", table, title="nano")
    assert {"single seeds", "W2SG (weak labels), mean", "ceiling (true labels), mean"} <= set(labels(figure))
    lines = [line for line in figure.axes[0].lines if line.get_color() == style.COLOURS["w2s"]]
    assert sorted(line.get_linewidth() for line in lines) == [0.5, 0.5, 0.5, 2.0]
    plt.close(figure)


def test_a_seed_without_revisions_leaves_the_mean_to_the_others(seeds):
    given: dict[str, Any] = {"dataset": "newsgroups_tech"}
    one = figure_tables.group_table("trajectory", seeds, made_floors(), members=["nano-seed1", "gone"], **given)
    mean, single = (one[(one["panel"] == "paper") & (one["series"] == name)] for name in ("w2s", "w2s@nano-seed1"))
    assert mean["value"].tolist() == pytest.approx(single["value"].tolist())
    assert figure_tables.group_table("trajectory", seeds, made_floors(), members=["gone"], **given).empty


@pytest.mark.parametrize("name", GROUP_FIGURES)
def test_figures_of_seeds_are_drawn_from_their_table_alone(name, seeds, tmp_path):
    members = [f"nano-seed{seed}" for seed in range(3)]
    table = figure_tables.group_table(
        name, seeds, made_floors(), members=members, dataset="newsgroups_tech", errors=ERRORS
    )
    write_table(table, tmp_path / "table.parquet", schemas.FIGURE, provenance={})
    kept = read_table(tmp_path / "table.parquet", schemas.FIGURE)
    figure = plots.plot_figure(name, kept, title="nano, 3 pre-training seeds")
    style.save_figure(figure, {"pdf": tmp_path / "figure.pdf"}, {})
    assert (tmp_path / "figure.pdf").stat().st_size > 5_000


ERRORS = {"paper:probe": 0.0116, "paper:loss": 0.0155, "converged:probe": 0.0192, "converged:loss": float("nan")}


def test_predictions_are_monotone_fits_and_name_their_held_out_error(metrics):
    table = figure_tables.figure_table("prediction", metrics, made_floors(), **CHOICE, errors=ERRORS)
    for predictor, sign in {"probe": 1, "loss": -1}.items():
        panel = table[table["panel"] == f"paper:{predictor}"]
        fit, points = (panel[panel["series"] == name].sort_values("x") for name in ("monotone", "revision"))
        assert (sign * fit["value"].diff().dropna() >= 0).all()
        own = IsotonicRegression(increasing=sign > 0).fit_transform(points["x"], points["value"])
        np.testing.assert_allclose(fit["value"], pd.Series(own).groupby(points["x"].to_numpy()).first())
    figure = plots.plot_figure("prediction", table, title="nano")
    legends = [axis.get_legend() for axis in figure.axes[:4]]
    said = [legend and legend.get_texts()[0].get_text() for legend in legends]
    assert said == ["held-out error 0.0116", "held-out error 0.0155", "held-out error 0.0192", None]
    assert labels(figure) == ["monotone fit", "weak supervisor"]
    plt.close(figure)


def test_held_out_errors_are_those_of_the_conclusions():
    table = pd.concat([made_conclusions(), made_conclusions({"error_probe": (0.5, 0.4, 0.6)}, family="other")])
    errors = figure_tables.prediction_errors(table, family="nano", dataset="newsgroups_tech")
    assert errors == {
        f"{heads}:{name}": value
        for heads in ("paper", "converged")
        for name, value in (("probe", 0.0116), ("loss", 0.0155))
    }


def test_captions_name_the_coverage_that_was_asked_for():
    job = SimpleNamespace(wildcards=CHOICE, params={"coverage": as_percent(0.995)})
    captions = {path.stem: path for path in (Path(__file__).resolve().parents[3] / "workflow" / "report").glob("*.rst")}
    texts = {name: jinja2.Template(captions[name].read_text()).render(snakemake=job) for name in FIGURES}
    assert all("95 %" not in text for text in texts.values())
    assert all("99.5 % " in texts[name] for name in ("trajectory", "probe", "recovery", "prediction"))


@pytest.mark.parametrize("name", FIGURES)
def test_a_family_whose_revisions_were_all_left_out_gets_a_figure_that_says_so(name, metrics, tmp_path):
    table = figure_tables.figure_table(name, metrics, made_floors(), **(CHOICE | {"family": "other"}))
    assert table.empty
    write_table(table, tmp_path / "table.parquet", schemas.FIGURE, provenance={})
    figure = plots.plot_figure(name, table, title="other")
    assert figure.axes[0].texts[0].get_text() == "no revision is left to show"
    plt.close(figure)


def test_two_revisions_one_layer_and_no_recovered_gap_are_drawn_too():
    metrics = made_metrics(effect=False, steps=[0, 8])
    for name in FIGURES:
        figure = plots.plot_figure(name, shown(name, metrics), title="two revisions")
        assert any(axis.has_data() for axis in figure.axes)
        plt.close(figure)


def test_unknown_figures_are_named(metrics):
    with pytest.raises(ValueError, match="figure must be one of .*got 'pie'"):
        shown("pie", metrics)
