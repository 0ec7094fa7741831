"""The committed benchmark of the engines shows what the documents claim, and the script that makes it runs."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks import theory
from w2sg.theory.model.law import distance

TABLE = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "theory.tsv"


@pytest.mark.parametrize(("mode", "least"), [("batch", 60), ("online", 40)])
def test_the_reduced_engine_is_flat_and_fast(mode, least):
    text = TABLE.read_text(encoding="utf-8")
    assert text.startswith("# machine: ") and "cores" in text.splitlines()[0]
    table = pd.read_csv(TABLE, sep="\t", comment="#")
    part = table[(table["mode"] == mode) & (table["engine"] == "reduced")].set_index("d")
    assert list(part.index) == [100, 1000, 10_000, 100_000, 1_000_000]
    assert part["us_per_step"].max() < 1.3 * part["us_per_step"].min()
    assert part["extra_memory_mb"].max() < 1
    assert part.loc[1000, "direct_over_reduced"] >= least
    direct = table[(table["mode"] == mode) & (table["engine"] == "direct")].set_index("d")
    assert direct.loc[1_000_000, "us_per_step"] > 100 * direct.loc[1000, "us_per_step"]


@pytest.mark.parametrize("mode", ["batch", "online"])
def test_both_engines_run_the_same_experiment(mode, monkeypatch):
    monkeypatch.setattr(theory, "SECONDS", 0.001)
    ends = {}
    for engine in ("reduced", "direct"):
        case = theory.Case(engine=engine, mode=mode, dimension=100, seed=0)
        row = theory.measure(case)
        assert row["us_per_step"] > 0 and row["steps"] >= 1
        ends[engine] = theory.run(case, 3)[1]
    start = float(distance(theory.ALIGNMENT))
    for end in ends.values():
        assert end != start and abs(end - start) < 0.1
