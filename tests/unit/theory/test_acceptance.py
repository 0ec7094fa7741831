"""Experiments as data, acceptance arithmetic, figures and adaptors, each with a control that must fail."""

import math
import re
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from w2sg.plotting.style import STYLE
from w2sg.report.cells import format_theory
from w2sg.study.sections import Phase
from w2sg.tables import origins
from w2sg.tables.files import read_provenance, read_table, write_table
from w2sg.tables.theory import ACCEPTANCE, FIGURE, tally
from w2sg.theory.acceptance import criteria_checks, judge
from w2sg.theory.acceptance.ledger import Ledger, RunMean, crossing, exact, jackknife, mean
from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments import conditions, run, runs
from w2sg.theory.experiments.catalogue import EXPERIMENTS, KAPPA_GRID, RATE_GRID, describe_experiment
from w2sg.theory.experiments.phase import cells_of
from w2sg.theory.experiments.run import schema_of
from w2sg.theory.experiments.settings import BoundSettings, ConditionSettings, Grid, RunSettings
from w2sg.theory.figures import drawing, maps, plots, tables
from w2sg.theory.figures.catalogue import FIGURES, caption_of
from w2sg.theory.model import radii

SCRIPTS = Path(__file__).resolve().parents[3] / "workflow" / "scripts"
SMALL = RunSettings(seeds=2, seed=0, phase=Phase(dimension=1000, grid=3, seeds=2))


@pytest.fixture(scope="module")
def threshold():
    return run.simulate_experiment("kappa_threshold", SMALL)


def test_grids_have_the_stated_sizes():
    sizes = {name: [len(list(grid.cells())) for grid in item.grids] for name, item in EXPERIMENTS.items() if item.grids}
    assert sizes == {
        "kappa_threshold": [10],
        "trajectories": [4, 4, 4],
        "spike_strength": [40],
        "alignment": [50],
        "weak_quality": [36],
        "learning_rate": [84],
        "random_start": [3, 1],
    }
    assert KAPPA_GRID[5:] == (0.5722, 0.6667, 0.7611, 0.8556, 0.95)
    assert RATE_GRID[0] == 1e-4 and RATE_GRID[-1] == 10 and len(RATE_GRID) == 21
    assert len({item.number for item in EXPERIMENTS.values()}) == len(EXPERIMENTS)
    cells = cells_of(EXPERIMENTS["phase_kappa_cw"].settings, 3)
    assert len(cells) == 9
    np.testing.assert_allclose(cells[:4], [(2, 0.3, 0.05), (2, 0.3, 0.5), (2, 0.3, 0.95), (2, 0.64, 0.05)])
    assert describe_experiment("landscape")["settings"]["dimension"] == 500


def test_all_that_an_entry_names_exists():
    for name, item in EXPERIMENTS.items():
        assert callable(resolve_name(f"w2sg.theory.experiments.{item.kind}:simulate_{item.kind}")), name
        criteria = f"criteria_{'runs' if item.grids else 'checks'}"
        assert callable(resolve_name(f"w2sg.theory.acceptance.{criteria}:judge_{name}")), name
        assert (item.settings is None) == bool(item.grids) and schema_of(name).name.startswith("theory_")
    for name, figure in FIGURES.items():
        assert figure.experiment in EXPERIMENTS and callable(getattr(tables, f"table_{name}")), name
        assert hasattr(plots, name) != hasattr(maps, name), name
    drawn = {figure.experiment for figure in FIGURES.values()}
    assert set(EXPERIMENTS) - drawn == {"agreement"}


def test_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).standard_normal((30, 4))
    found = jackknife(values, lambda curve: float(curve[1]))
    assert found.value == pytest.approx(values[:, 1].mean())
    assert found.error == pytest.approx(mean(values[:, 1]).error, rel=1e-10)
    assert math.isnan(jackknife(values[:1], lambda curve: float(curve[1])).error)


def test_crossing():
    x = np.array([0.0, 1.0, 2.0])
    assert crossing(x, np.array([3.0, 2.0, 0.0]), 1.0) == 1.5
    assert math.isnan(crossing(x, np.array([3.0, 2.0, 1.5]), 1.0))
    assert crossing(x, np.array([0.5, 2.0, 1.5]), 1.0) == 0.0


def test_regression_values_are_held_to_a_twentieth_and_four_standard_errors():
    ledger, spread = Ledger(section="0", experiment="none"), np.array([-1.0, 0.0, 1.0]) * 0.01  # error 0.01 / sqrt 3
    error = 0.01 / math.sqrt(3)
    for errors in (3.9, 4.1):
        ledger.regression("moved", 1.0 + 0.05 + errors * error + spread, 1.0)
    assert [row["holds"] for row in ledger.rows] == [True, False]


def test_ledger_decides_and_writes_what_it_decided(tmp_path):
    ledger = Ledger(section="0", experiment="none")
    near = RunMean(value=1.1, error=0.04, seeds=5)
    ledger.near("strict", near, 1.0, 0.05)
    ledger.near("with slack", near, 1.0, 0.05, slack=2)
    ledger.below("below", near, 1.0)
    ledger.above("above", near, 1.0)
    ledger.within("undefined", exact(math.nan), 0, 1)
    assert [row["holds"] for row in ledger.rows] == [False, True, False, True, False]
    table = pd.DataFrame(ledger.rows)
    write_table(table, tmp_path / "a.parquet", ACCEPTANCE, provenance={})
    failing = "2 statements of the theory hold, 3 of 5 criteria FAIL: strict; below; undefined"
    assert tally(table) == failing
    assert tally(table.iloc[[1]]) == "1 statement of the theory holds"


def test_the_tally_keeps_theory_agreement_and_regression_apart():
    ledger = Ledger(section="0", experiment="none")
    ledger.below("order", exact(0.0), 1.0)
    ledger.near("engines", exact(0.0), 0.0, 1.0, kind="agreement")
    for name in "ab":
        ledger.regression(name, [1.0, 1.0], 1.0)
    found = tally(pd.DataFrame(ledger.rows))
    assert found == (
        "1 statement of the theory holds, 1 pair of computations agrees, 2 regression values are reproduced"
    )
    shown = format_theory(pd.DataFrame(ledger.rows)).to_numpy().tolist()
    assert shown == [["0", "agreement", "1", "1"], ["0", "regression", "2", "2"], ["0", "theory", "1", "1"]]


def test_threshold_is_judged_and_a_wrong_table_fails(threshold):
    assert len(threshold) == 10 * 8 * 2
    rows = judge.acceptance({"kappa_threshold": threshold})
    assert rows["holds"].all(), rows[~rows["holds"]].to_string()
    worse = threshold.assign(distance=threshold["distance"] + 0.1)
    assert not judge.acceptance({"kappa_threshold": worse})["holds"].all()


def test_results_do_not_depend_on_threads(threshold):
    again = run.simulate_experiment("kappa_threshold", replace(SMALL, threads=3))
    pd.testing.assert_frame_equal(threshold, again)
    other = run.simulate_experiment("kappa_threshold", replace(SMALL, seed=1))
    assert not np.allclose(threshold["m"], other["m"])
    drawn = [stream(0, 1, k).standard_normal() for k in range(3)]
    assert len(set(drawn)) == 3 and drawn == [stream(0, 1, k).standard_normal() for k in range(3)]
    assert parallel(lambda x: x * x, range(5), threads=2) == [0, 1, 4, 9, 16]


def test_more_seeds_extend_the_same_runs():
    grid = Grid(lams=(2.0,), kappas=(0.5,), etas=(0.002,), steps=3, batch=5)
    item = replace(EXPERIMENTS["kappa_threshold"], grids=(grid,), seed_factor=1)
    few, many = (runs.simulate_runs(item, replace(SMALL, seeds=n)) for n in (2, 4))
    pd.testing.assert_frame_equal(few, many[many["seed"] < 2].reset_index(drop=True))


@pytest.mark.parametrize(
    "name", ["kappa_threshold", "region", "bound", "phase_lam_kappa", "phase_kappa_cw", "conditions"]
)
def test_tables_keep_their_schema_and_units_are_counted(name, tmp_path, threshold, monkeypatch):
    quick = replace(EXPERIMENTS["bound"], settings=BoundSettings(fraction=0.9, measured=0.01, steps=50))
    monkeypatch.setitem(EXPERIMENTS, "bound", quick)
    few = ConditionSettings(lams=(0.3,), spike_degrees=(0.1, 60.0), weak_degrees=(0.2,), etas=(1e-6, 10.0))
    monkeypatch.setitem(EXPERIMENTS, "conditions", replace(EXPERIMENTS["conditions"], settings=few))
    totals, done = [], []

    def watch(total):
        totals.append(total)
        return done.append

    frame = threshold
    if name != "kappa_threshold":
        frame = run.simulate_experiment(name, replace(SMALL, watch=watch))
        assert [sum(done)] == totals == [{"region": 3, "bound": 3, "conditions": 2}.get(name, 9)]
    write_table(frame, tmp_path / "t.parquet", schema_of(name), provenance={})
    read = read_table(tmp_path / "t.parquet", schema_of(name))
    write_table(judge.acceptance({name: read}), tmp_path / "a.parquet", ACCEPTANCE, provenance={})
    plt.style.use(STYLE)
    for figure in (f for f, item in FIGURES.items() if item.experiment == name):
        shown = drawing.theory_figure_table(figure, read)
        write_table(shown, tmp_path / "f.parquet", FIGURE, provenance={})
        drawn = drawing.plot_theory_figure(figure, shown)
        assert drawn.axes
        plt.close(drawn)


def test_region_criteria_hold_and_see_a_wrong_radius(monkeypatch):
    frame = run.simulate_experiment("region", replace(SMALL, seed=3))
    rows = judge.acceptance({"region": frame})
    assert rows["holds"].all(), rows[~rows["holds"]].to_string()
    worked = radii.worked_radii()
    monkeypatch.setattr(criteria_checks, "worked_radii", lambda: worked.assign(r_conv=worked["r_conv"] * 1.02))
    assert not judge.acceptance({"region": frame})["holds"].all()


def test_the_moment_bound_is_not_judged_where_gradients_vanish():
    """Over the sphere the bound is within a factor of a hundred: a constant wrong by more is seen."""
    frame = run.simulate_experiment("region", SMALL)
    for factor in (1e-2, 1e2):
        wrong = frame.assign(value=frame["value"].where(frame["check"] != "moment", frame["value"] * factor))
        failed = judge.acceptance({"region": wrong}).query("~holds")["criterion"]
        assert len(failed) == 2 and failed.str.contains("gradient moment").all()


def test_a_constant_prediction_does_not_pass_as_a_phase_boundary():
    cells = pd.DataFrame({"success": [1.0] + [0.0] * 19, "limit_distance": 0.5, "weak_distance": 1.0})
    for margin, holds in ((cells["success"] - 0.5, True), (-1.0, False), (1.0, False)):
        rows = judge.acceptance({"phase_lam_kappa": cells.assign(limit_margin=margin)})
        assert rows["holds"].tolist() == [holds] and rows["measured"].iloc[0] == (1.0 if holds else 0.5)


def test_the_conditions_where_they_hold_a_student_must_beat_its_supervisor():
    few = ConditionSettings(lams=(0.3,), spike_degrees=(0.1, 60.0), weak_degrees=(0.2,), etas=(1e-6, 1e-4, 10.0))
    frame = conditions.simulate_conditions(replace(EXPERIMENTS["conditions"], settings=few), SMALL)
    assert frame["hold"].tolist() == [True] + [False] * 5
    assert conditions.failing(frame).tolist() == [0, 4, 4, 2, 24, 24]
    assert frame["success"].tolist() == [1, 1, 0, 0, 0, 0] and frame["seeds"].tolist() == [0, 0, 3] * 2
    theory = judge.acceptance({"conditions": frame}).query("kind == 'theory'")
    assert len(theory) == 2 and theory["holds"].all()
    # The other way round: a failing student, a broken bound, no cell at all where the conditions hold.
    for wrong in (
        frame.assign(success=0.5),
        frame.assign(squared_distance=2 * frame["bound"]),
        frame.assign(hold=False),
    ):
        assert not judge.acceptance({"conditions": wrong}).query("kind == 'theory'")["holds"].all()


def test_slices_of_the_conditions_hold_their_own_cells_whatever_the_last_bit_of_a_cosine():
    entry, settings = EXPERIMENTS["conditions"], ConditionSettings()
    axes = (settings.lams, settings.spike_degrees, settings.weak_degrees, settings.etas)
    cells = pd.DataFrame(product(*axes), columns=["lam", "kappa", "c_w", "eta"]).assign(success=1.0)
    for name in ("kappa", "c_w"):
        cells[name] = np.nextafter(np.cos(np.radians(cells[name])), 0.0)
    cells[list(conditions.CONDITION_NAMES)] = 1.0
    shown = tables.table_four_conditions(entry, cells).query("series == 'success'").groupby("panel").size()
    assert shown.to_dict() == {"spike": 5 * 6, "supervisor": 6 * 6, "step": 11 * 6}


def test_check_script_lists_what_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import check_theory

    ledger = Ledger(section="8.1", experiment="kappa_threshold")
    ledger.below("good", exact(0.5), 1.0)
    write_table(pd.DataFrame(ledger.rows), tmp_path / "a.parquet", ACCEPTANCE, provenance={})
    fixed = {
        "acceptance": str(tmp_path / "a.parquet"),
        "output": str(tmp_path / "v.txt"),
        "log": str(tmp_path / "l.log"),
    }
    check_theory.main(**fixed)
    assert (tmp_path / "v.txt").read_text() == "1 statement of the theory holds\n"
    ledger.below("bad", exact(1.5), 1.0)
    write_table(pd.DataFrame(ledger.rows), tmp_path / "a.parquet", ACCEPTANCE, provenance={})
    with pytest.raises(SystemExit):
        check_theory.main(**fixed)
    assert "kappa_threshold: bad: expected < 1, measured 1.5" in (tmp_path / "l.log").read_text()


def test_other_scripts_run_without_snakemake(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import plot_theory
    import simulate_experiment

    source, log = str(tmp_path / "t.parquet"), str(tmp_path / "l.log")
    simulate_experiment.main(
        experiment="kappa_threshold", seeds=2, seed=0, phase={}, threads=1, output=source, recipe=1, log=log
    )
    rows = judge.acceptance({"kappa_threshold": read_table(source, schema_of("kappa_threshold"))})
    made = read_provenance(source)["made"]
    assert made["experiments.kappa_threshold"]["seeds"] == 2
    write_table(rows, tmp_path / "a.parquet", ACCEPTANCE, provenance={"made": made})
    found = []
    for threads in (1, 2):
        plot_theory.main(
            sources={"kappa_threshold": source},
            folder=str(tmp_path / str(threads)),
            figures=["fig1a"] * threads,
            threads=threads,
            made=made,
            config={"study": "s"},
            log=log,
        )
        found.append({path.name: path.read_bytes() for path in (tmp_path / str(threads)).iterdir()})
    assert found[0] == found[1] and set(found[0]) == {"fig1a.svg", "fig1a.png", "fig1a.parquet"}
    assert all(origins.read_origin(tmp_path / "1" / name)["made"] == made for name in found[0])


def test_report_shows_failures(threshold):
    from w2sg.theory import report

    rows = judge.acceptance({"kappa_threshold": threshold.assign(distance=2.0)})
    html = report.render_theory(
        acceptance=rows,
        radii=radii.worked_radii(),
        figures={name: "<svg/>" for name in FIGURES},
        origin={"study": "<s>"},
        settings={"seeds": 2, "phase": {"dimension": 5000, "grid": 3, "seeds": 7}},
    )
    assert 'content="{&#34;study&#34;: &#34;&lt;s&gt;&#34;}"' in html
    failed = int((~rows["holds"]).sum())
    assert (
        failed
        and f"{failed} of {len(rows)} criteria FAIL" in html
        and "<td>regression</td>" in html
        and 'class="bad">NO' in html
        and "<table><caption>Criteria that fail" in html
        and "smoothed ReLU" in html
    )
    text = re.sub("<[^>]+>", "", html)
    assert "d = 5000, 7 runs per cell" in text and "Means over 8 runs per setting" in text
    assert "<math><msub><mi>c</mi><mi>w</mi></msub></math>" in html and "<mi>κ</mi>" in html
    assert not re.search(r"\b(kappa|lam|c_w|he3|D_w)\b", text.partition("Provenance")[0])


def test_symbols_are_told_from_words():
    from w2sg.theory.report import symbols

    pieces = [
        piece.get("text") or piece["base"] + piece["low"]
        for piece in symbols("lam, lambda-like D_w at sqrt(d/N), D at 2; m0 = 0.4")
    ]
    assert pieces[:2] == ["λ", ", lambda-like "] and "Dw" in pieces and "d/N" in pieces and "m0" in pieces
    assert "".join(pieces) == "λ, lambda-like Dw at d/N, D at 2; m0 = 0.4"


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: run.simulate_experiment("nothing", SMALL), "experiment"),
        (lambda: schema_of("nothing"), "experiment"),
        (lambda: judge.judge("nothing", pd.DataFrame()), "experiment"),
        (lambda: drawing.theory_figure_table("fig2", pd.DataFrame()), "figure"),
        (lambda: drawing.plot_theory_figure("fig2", pd.DataFrame()), "figure"),
        (lambda: caption_of("fig2", {}), "figure"),
        (lambda: describe_experiment("nothing"), "experiment"),
    ],
)
def test_bad_settings_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()


def test_data_modules_are_light():
    """The rule graph reads these modules: they must not pull in numpy, numba or matplotlib."""
    import subprocess

    code = (
        "import sys, w2sg.theory.experiments.catalogue, w2sg.theory.figures.catalogue\n"
        "sys.exit(bool({'numpy', 'numba', 'pandas'} & set(sys.modules)))"
    )
    root = str(SCRIPTS.parents[1])
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root).returncode == 0
