"""The notebook runs from its first to its last cell, and draws both figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOOK = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
CELLS = ["".join(cell["source"]) for cell in BOOK["cells"] if cell["cell_type"] == "code"]


def test_it_is_a_notebook_without_outputs():
    assert (BOOK["nbformat"], BOOK["nbformat_minor"]) == (4, 5)
    assert all(cell["outputs"] == [] for cell in BOOK["cells"] if cell["cell_type"] == "code")
    assert len({cell["id"] for cell in BOOK["cells"]}) == len(BOOK["cells"])


def test_it_runs_and_draws_both_figures(tmp_path):
    after = f"""
for number in plt.get_fignums():
    plt.figure(number).savefig({str(tmp_path)!r} + f"/{{number}}.png")
assert (table["series"] == "w2s").sum() >= 2
assert np.allclose(error[-1], model.weak_distance, atol=0.05)
assert error[0, -1] < model.weak_distance < error[0, 0]
"""
    script = tmp_path / "notebook.py"
    script.write_text("\n\n".join([*CELLS, after]), encoding="utf-8")
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore:FigureCanvasAgg is non-interactive", str(script)]
    done = subprocess.run(command, cwd=ROOT / "docs", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in sorted(tmp_path.glob("*.png"))] == ["1.png", "2.png"]
