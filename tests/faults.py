"""The record of what was tried: tests append to it, docs/reliability.md shows it as a table.

``make fault-test`` sets ``FAULT_RECORD`` to a new file, repeats the killing tests more often (``FAULT_KILLS``), and then
writes the table again. Without the variable nothing is recorded.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "docs" / "faults.jsonl"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: begin (make fault-test) -->", "<!-- faults: end -->"
KILLS = int(os.environ.get("FAULT_KILLS", "4"))
"""Killing blows in all, of all kinds in turn."""


def record(fault: str, *, tried: int, outcome: str, lost: int) -> None:
    """Notes that a fault was tried, with the test that did so.

    Args:
        fault: What was done, in words.
        tried: How often.
        outcome: How it ended, in words.
        lost: Finished results that were gone or wrong afterwards.
    """
    path = os.environ.get("FAULT_RECORD")
    if path:
        test = os.environ["PYTEST_CURRENT_TEST"].split(" ")[0].split("[")[0]
        with Path(path).open("a", encoding="utf-8") as file:
            row = {"fault": fault, "tried": tried, "outcome": outcome, "lost": lost, "test": test}
            file.write(json.dumps(row) + "\n")


def read() -> list[dict]:
    """Returns the recorded rows; what one test tried in several rounds with one outcome is one row."""
    rows: dict[tuple[str, ...], dict] = {}
    for line in RECORD.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        known = rows.setdefault((row["fault"], row["outcome"], row["test"]), {**row, "tried": 0, "lost": 0})
        known["tried"] += row["tried"]
        known["lost"] += row["lost"]
    return list(rows.values())


def table(rows: Iterable[Mapping[str, object]]) -> str:
    """Returns the rows as a Markdown table."""
    lines = ["| fault | tried | outcome | data lost | reproduced by |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        command = f'`make test ARGS="{row["test"]}"`'
        lines.append(f"| {row['fault']} | {row['tried']} | {row['outcome']} | {row['lost'] or 'none'} | {command} |")
    return "\n".join(lines) + "\n"


def updated(page: str) -> str:
    """Returns the page with the table of the present record."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(read())}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(table(read()))
