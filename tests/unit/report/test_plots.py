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
from w2sg.measures.bootstrap import TOO_SHORT
from w2sg.plotting import style
from w2sg.report import figure_tables, plots
from w2sg.report.catalogue import FIGURES, GROUP_FIGURES, as_percent
from w2sg.report.charts import rows as charts
from w2sg.report.sentences import short_answer
from w2sg.tables import schemas
from w2sg.tables.files import read_table, write_table
from w2sg.trajectories.onset import GAP
from w2sg.trajectories.selection import rows_with

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
    style.save_figure(plots.plot_figure(name, kept), {"pdf": tmp_path / "figure.pdf"}, {})
    assert (tmp_path / "figure.pdf").stat().st_size > 5_000


def test_a_figure_is_written_alike_each_time(metrics, tmp_path):
    table = shown("layers", metrics)
    for run in ("a", "b"):
        paths = {kind: tmp_path / f"{run}.{kind}" for kind in style.METADATA}
        style.save_figure(plots.plot_figure("layers", table), paths, {})
    for kind in style.METADATA:
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def labels(figure: Any) -> list[str]:
    places = [axis.get_legend() for axis in figure.axes if axis.get_label() == "legend"]
    return [text.get_text() for text in [*figure.legends, *places][0].get_texts()]


def panel(figure: Any, letter: str) -> Any:
    (found,) = [axis for axis in figure.axes if axis.get_title(loc="left") == letter]
    return found


def test_a_trajectory_shows_each_quantity_its_controls_supervisor_floors_chance_and_onset(metrics):
    concluded = figure_tables.conclusion_rows("trajectory", made_conclusions(), **CHOICE)
    table = figure_tables.figure_table("trajectory", metrics, made_floors(), **CHOICE, concluded=concluded)
    paper = table[table["panel"] == "paper"].set_index("series")
    floors = {"floor:longer_response", "floor:tfidf", "floor:fewer_tokens"}
    measured = {"w2s", "ceiling", "probe", "permuted", "twin:step0", "weak", "weak_on_weak", "onset"}
    assert set(paper.index) == measured | floors
    assert paper.loc["w2s", "step"].tolist() == STEPS
    assert set(table["layer"]) == {-1, 2, 4}
    assert paper.loc["weak", "value"] == WEAK
    assert paper.loc["onset", ["x", "x_low", "x_high"]].tolist() == [896, 768, 1664]
    assert paper.loc["w2s", "value"].to_numpy()[-1] == pytest.approx(0.78, abs=1e-3)
    assert paper.loc["twin:step0", "value"] == paper.loc["w2s", "value"].iloc[0]
    figure = plots.plot_figure("trajectory", table)
    named = {style.LABELS[name] for name in {*paper.index, "chance"} - {"twin:step0"}} | {"random twin (step 0)"}
    assert sorted(labels(figure)) == sorted(named)
    for axis in (panel(figure, "a"), panel(figure, "b")):
        marks = [line for line in axis.lines if not line.get_label().startswith("_")]
        assert {line.get_label() for line in marks} == named
        widths = {line.get_label(): line.get_linewidth() for line in marks}
        assert max(widths[style.LABELS[name]] for name in plots.CONTROLS) < widths[style.LABELS["w2s"]]
    looks = {(style.SHAPES.get(name), style.DASHES.get(name)) for name in set(paper.index) - {"twin:step0"}}
    assert len(looks) == len(set(paper.index)) - 1, "series differ without their colours"
    assert panel(figure, "c").get_title() == "evaluation loss on newsgroups"
    assert figure.get_suptitle() == ""
    plt.close(figure)


def test_the_last_step_is_always_written_and_tokens_stand_above(metrics):
    figure = plots.plot_figure("trajectory", shown("trajectory", metrics))
    figure.draw_without_rendering()
    below = [text.get_text() for text in panel(figure, "b").get_xticklabels()]
    (above, *_) = [axis for axis in figure.axes if axis.get_xlabel() == "training tokens"]
    assert below[0] == "0" and below[-1] == "2,048"
    assert [text.get_text() for text in above.get_xticklabels()][-1] == "2 M"
    assert above.get_xlim() == panel(figure, "a").get_xlim()
    plt.close(figure)


@pytest.mark.parametrize(
    ("steps", "shown"),
    [
        ([0, 100, 200, 300, 400], [0, 100, 200, 400]),
        ([7], [7]),
        ([], []),
        ([0, *(2**k for k in range(10)), *range(1000, 143_001, 1000)], None),
    ],
)
def test_ticks_are_revisions_with_the_first_and_the_last(steps, shown):
    ticks = style.step_ticks(steps, 5)
    assert set(ticks) <= set(steps) and len(ticks) <= 5
    assert ticks[:1] == sorted(steps)[:1] and ticks[-1:] == sorted(steps)[-1:]
    assert shown is None or ticks == shown


def test_counts_are_written_in_units_of_the_si():
    counts = (0, 999, 999.9, 1000, 917_504, 1_273_000, 299_892_736_000, 4e12, float("nan"))
    assert [style.in_si(count) for count in counts] == [
        "0", "999", "1 k", "1 k", "918 k", "1.27 M", "300 G", "4 T", "?"
    ]  # fmt: skip


def test_text_stays_text_in_vector_files(metrics, tmp_path):
    plt.style.use(style.STYLE)
    figure = plots.plot_figure("trajectory", shown("trajectory", metrics))
    style.save_figure(figure, {kind: tmp_path / f"f.{kind}" for kind in style.METADATA}, {})
    svg = (tmp_path / "f.svg").read_text()
    assert ">paper heads</text>" in svg and ">W2SG (weak labels)</text>" in svg
    assert b"/Type /Font" in (tmp_path / "f.pdf").read_bytes()
    width, _ = plt.imread(tmp_path / "f.png").shape[1::-1]
    assert width == round(2 * plots.COLUMN * 300)


def test_captions_give_the_numbers_of_the_figure(metrics):
    concluded = figure_tables.conclusion_rows("trajectory", made_conclusions(), **CHOICE)
    table = figure_tables.figure_table("trajectory", metrics, made_floors(), **CHOICE, concluded=concluded)
    text = figure_tables.caption("trajectory", table, coverage="95 %", **CHOICE)
    last = table[(table["panel"] == "paper") & (table["series"] == "w2s")].iloc[-1]
    assert f"W2SG (weak labels) {last['value']:.3f} [{last['low']:.3f}, {last['high']:.3f}]" in text
    assert "onset at step 896 [768, 1,664]" in text and "23 revisions, steps 0 to 2,048" in text
    for name in set(FIGURES) - {"trajectory"}:
        text = figure_tables.caption(name, shown(name, metrics), coverage="95 %", **CHOICE)
        assert text.startswith(figure_tables.CAPTIONS[name])
        assert ("95 % intervals" in text) == (name != "layers")
    bare = (table.assign(low=np.nan, high=np.nan) for table in (metrics, made_floors()))
    bare = figure_tables.figure_table("trajectory", *bare, **CHOICE)
    text = figure_tables.caption("trajectory", bare, coverage="95 %", **CHOICE)
    assert "Means over head seeds" in text and "95 %" not in text


@pytest.mark.parametrize(
    "row",
    [(64, np.nan, 128, "open"), (64, 0, 64, f"the onset lies between steps 0 and 64; {GAP}"), (64, 32, 128, TOO_SHORT)],
)
def test_an_onset_that_cannot_be_placed_is_not_drawn(metrics, row):
    concluded = made_conclusions({"onset_step": row, "onset_tokens": row})
    assert figure_tables.conclusion_rows("trajectory", concluded, **CHOICE).empty
    assert rows_with(charts.overview_rows(metrics, concluded, {})[0], metric="onset").empty
    transitions = (
        concluded.rename(columns={"quantity": "estimate"}).assign(layer=4, seed=-1).drop(columns=["level", "verdict"])
    )
    drawn = charts.chart_rows(metrics, made_floors(), **CHOICE, transitions=transitions)
    assert rows_with(drawn, series="onset").empty
    assert "; no onset can be placed." in short_answer(concluded)[0]


def test_a_first_revision_that_has_learned_is_no_random_twin(metrics):
    table = shown("trajectory", metrics[metrics["step"] > 0])
    assert not table["series"].str.startswith("twin").any()
    figure = plots.plot_figure("trajectory", table)
    assert not any("twin" in label for label in labels(figure))
    plt.close(figure)


def test_bits_per_byte_stand_beside_nats(metrics):
    table = shown("trajectory", metrics)
    figure = plots.plot_figure("trajectory", table)
    (right,) = panel(figure, "c").child_axes
    figure.draw_without_rendering()
    low, high = panel(figure, "c").get_ylim()
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
    figure = plots.plot_figure("trajectory", table)
    assert {"single seeds", "W2SG (weak labels), mean", "ceiling (true labels), mean"} <= set(labels(figure))
    lines = [line for line in panel(figure, "a").lines if line.get_color() == style.COLOURS["w2s"]]
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
        name, seeds, made_floors(), members=members, dataset="newsgroups_tech", concluded=errors()
    )
    write_table(table, tmp_path / "table.parquet", schemas.FIGURE, provenance={})
    kept = read_table(tmp_path / "table.parquet", schemas.FIGURE)
    figure = plots.plot_figure(name, kept)
    style.save_figure(figure, {"pdf": tmp_path / "figure.pdf"}, {})
    assert (tmp_path / "figure.pdf").stat().st_size > 5_000


def errors() -> pd.DataFrame:
    made = made_conclusions()
    unknown = (made["quantity"] == "error_loss") & (made["protocol"] == "converged")
    return figure_tables.conclusion_rows("prediction", made[~unknown], **CHOICE)


def test_predictions_are_monotone_fits_and_name_their_held_out_error(metrics):
    table = figure_tables.figure_table("prediction", metrics, made_floors(), **CHOICE, concluded=errors())
    for predictor, sign in {"probe": 1, "loss": -1}.items():
        part = table[table["panel"] == f"paper:{predictor}"]
        fit, points = (part[part["series"] == name].sort_values("x") for name in ("monotone", "revision"))
        assert (sign * fit["value"].diff().dropna() >= 0).all()
        own = IsotonicRegression(increasing=sign > 0).fit_transform(points["x"], points["value"])
        np.testing.assert_allclose(fit["value"], pd.Series(own).groupby(points["x"].to_numpy()).first())
    figure = plots.plot_figure("prediction", table)
    legends = [panel(figure, letter).get_legend() for letter in "abcd"]
    said = [legend and legend.get_texts()[0].get_text() for legend in legends]
    assert said == ["held-out error 0.0116", "held-out error 0.0155", "held-out error 0.0116", None]
    assert labels(figure) == ["monotone fit", "weak supervisor"]
    plt.close(figure)


def test_held_out_errors_are_those_of_the_conclusions():
    table = pd.concat([made_conclusions(), made_conclusions({"error_probe": (0.5, 0.4, 0.6)}, family="other")])
    rows = figure_tables.conclusion_rows("prediction", table, **CHOICE)
    assert dict(zip(rows["panel"], rows["value"], strict=True)) == {
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
    figure = plots.plot_figure(name, table)
    assert figure.axes[0].texts[0].get_text() == "no revision is left to show"
    plt.close(figure)


def test_two_revisions_one_layer_and_no_recovered_gap_are_drawn_too():
    metrics = made_metrics(effect=False, steps=[0, 8])
    for name in FIGURES:
        figure = plots.plot_figure(name, shown(name, metrics))
        assert any(axis.has_data() for axis in figure.axes)
        plt.close(figure)


def test_unknown_figures_are_named(metrics):
    with pytest.raises(ValueError, match="figure must be one of .*got 'pie'"):
        shown("pie", metrics)
