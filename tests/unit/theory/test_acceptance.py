"""Experiments as data, acceptance arithmetic, figures and adaptors, each with a control that must fail."""

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from w2sg.plotting.style import STYLE
from w2sg.tables import origins
from w2sg.tables.files import read_provenance, read_table, write_table
from w2sg.tables.theory import ACCEPTANCE, FIGURE, schema_of
from w2sg.theory.acceptance import criteria_checks, criteria_runs, judge
from w2sg.theory.acceptance.ledger import Ledger, RunMean, crossing, exact, jackknife, mean
from w2sg.theory.engines.streams import parallel, stream
from w2sg.theory.experiments import grids, run
from w2sg.theory.experiments.catalogue import (
    EXPERIMENTS,
    KAPPAS,
    QUARTER_DECADES,
    Experiment,
    Grid,
    describe_experiment,
)
from w2sg.theory.experiments.phase import PhaseSize, cells_of
from w2sg.theory.experiments.settings import PhaseSettings
from w2sg.theory.figures import plots
from w2sg.theory.figures.catalogue import FIGURES
from w2sg.theory.figures.tables import TABLES, theory_figure_table
from w2sg.theory.model import radii

SCRIPTS = Path(__file__).resolve().parents[3] / "workflow" / "scripts"
SMALL = PhaseSize(dimension=1000, grid=3, seeds=2)


def skip(_):
    """Progress nobody watches."""


@pytest.fixture(scope="module")
def threshold():
    return run.simulate_experiment("kappa_threshold", seeds=2, seed=0, phase=SMALL)


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
    assert KAPPAS[5:] == (0.5722, 0.6667, 0.7611, 0.8556, 0.95)
    assert QUARTER_DECADES[0] == 1e-4 and QUARTER_DECADES[-1] == 10 and len(QUARTER_DECADES) == 21
    assert len({item.number for item in EXPERIMENTS.values()}) == len(EXPERIMENTS)
    assert len(cells_of("phase_kappa_cw", SMALL, PhaseSettings())) == 9
    assert describe_experiment("landscape")["figure"] == "9"


def test_every_experiment_is_judged_and_every_figure_drawn_from_one():
    assert {name for name in EXPERIMENTS if not name.startswith("phase_")} == set(judge.JUDGES)
    assert set(TABLES) == set(plots.PLOTS) == set(FIGURES)
    assert {figure.experiment for figure in FIGURES.values()} <= set(EXPERIMENTS)


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
    assert "3 of 5 acceptance criteria FAIL: strict; below; undefined" in judge.criteria_verdict(table, "none")
    assert judge.criteria_verdict(table.iloc[[1]], "none") == "its acceptance criterion holds"


def test_threshold_is_judged_and_a_wrong_table_fails(threshold):
    assert len(threshold) == 10 * 8 * 2
    rows = pd.DataFrame(criteria_runs.judge_kappa_threshold(threshold).rows)
    assert rows["holds"].all(), rows[~rows["holds"]].to_string()
    worse = threshold.assign(distance=threshold["distance"] + 0.1)
    assert not pd.DataFrame(criteria_runs.judge_kappa_threshold(worse).rows)["holds"].all()


def test_results_do_not_depend_on_threads(threshold):
    again = run.simulate_experiment("kappa_threshold", seeds=2, seed=0, phase=SMALL, threads=3)
    pd.testing.assert_frame_equal(threshold, again)
    other = run.simulate_experiment("kappa_threshold", seeds=2, seed=1, phase=SMALL)
    assert not np.allclose(threshold["m"], other["m"])
    drawn = [stream(0, 1, k).standard_normal() for k in range(3)]
    assert len(set(drawn)) == 3 and drawn == [stream(0, 1, k).standard_normal() for k in range(3)]
    assert parallel(lambda x: x * x, range(5), threads=2) == [0, 1, 4, 9, 16]


def test_more_seeds_extend_the_same_runs():
    item = Experiment(
        name="kappa_threshold",
        section="8.1",
        figure="1a",
        number=1,
        grids=(Grid(variant="batch", lams=(2.0,), kappas=(0.5,), etas=(0.002,), steps=3, batch=5),),
    )
    few, many = (grids.simulate_grid(item, seeds=n, seed=0, threads=1, advance=skip) for n in (2, 4))
    pd.testing.assert_frame_equal(few, many[many["seed"] < 2].reset_index(drop=True))


@pytest.mark.parametrize("name", ["kappa_threshold", "region", "bound", "phase_lam_kappa", "phase_kappa_cw"])
def test_tables_keep_their_schema_and_units_are_counted(name, tmp_path, threshold, monkeypatch):
    from w2sg.theory.experiments import bounds
    from w2sg.theory.experiments.settings import BoundSettings

    monkeypatch.setattr(bounds, "BoundSettings", lambda: BoundSettings(fraction=0.9, measured=0.01, steps=50))
    done = []
    frame = threshold
    if name != "kappa_threshold":
        frame = run.simulate_experiment(name, seeds=2, seed=0, phase=SMALL, advance=done.append)
        assert sum(done) == run.count_units(name, SMALL)
    write_table(frame, tmp_path / "t.parquet", schema_of(name), provenance={})
    read = read_table(tmp_path / "t.parquet", schema_of(name))
    judged = pd.DataFrame(judge.judge(name, read).rows)
    write_table(judged, tmp_path / "a.parquet", ACCEPTANCE, provenance={})
    plt.style.use(STYLE)
    for figure in (f for f in FIGURES.values() if f.experiment == name):
        shown = theory_figure_table(figure.name, read)
        write_table(shown, tmp_path / "f.parquet", FIGURE, provenance={})
        drawn = plots.plot_theory_figure(figure.name, shown, verdict="all 2 acceptance criteria hold")
        assert drawn.axes
        plt.close(drawn)


def test_region_criteria_hold_and_see_a_wrong_radius(monkeypatch):
    frame = run.simulate_experiment("region", seeds=2, seed=3, phase=SMALL)
    rows = pd.DataFrame(criteria_checks.judge_region(frame).rows)
    assert rows["holds"].all(), rows[~rows["holds"]].to_string()
    worked = radii.worked_radii()
    monkeypatch.setattr(criteria_checks, "worked_radii", lambda: worked.assign(r_conv=worked["r_conv"] * 1.02))
    assert not pd.DataFrame(criteria_checks.judge_region(frame).rows)["holds"].all()


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
    assert (tmp_path / "v.txt").read_text() == "all 1 acceptance criteria hold\n"
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
            acceptance=str(tmp_path / "a.parquet"),
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
    from w2sg.theory.model.radii import worked_radii

    rows = pd.DataFrame(criteria_runs.judge_kappa_threshold(threshold.assign(distance=2.0)).rows)
    html = report.render_theory(
        acceptance=rows,
        radii=worked_radii(),
        figures={name: "<svg/>" for name in FIGURES},
        verdicts={name: judge.criteria_verdict(rows, item.experiment) for name, item in FIGURES.items()},
        origin={"study": "<s>"},
        settings={"seeds": 2, "phase": {"dimension": 5000, "grid": 3, "seeds": 7}},
    )
    assert 'content="{&#34;study&#34;: &#34;&lt;s&gt;&#34;}"' in html
    failed = int((~rows["holds"]).sum())
    assert failed and f"{failed} fail" in html and 'class="no">NO' in html and "smoothed ReLU" in html
    assert "d = 5000, 7 runs per cell" in html and "Means over 8 runs per setting" in html


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: run.simulate_experiment("nothing", seeds=2, seed=0, phase=SMALL), "experiment"),
        (lambda: run.simulate_experiment("bound", seeds=1, seed=0, phase=SMALL), "seeds"),
        (lambda: PhaseSize(grid=1), "grid"),
        (lambda: cells_of("phase", SMALL, PhaseSettings()), "diagram"),
        (lambda: theory_figure_table("fig2", pd.DataFrame()), "figure"),
        (lambda: plots.plot_theory_figure("fig2", pd.DataFrame(), verdict=""), "figure"),
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
