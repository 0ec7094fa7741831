"""The README's result: a block between two comments, made from a committed copy of the table of conclusions.

``python -m w2sg.report.readme`` takes over the embedded study's table and pictures and writes the block again.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from w2sg.report.cells import SUMMARY_NOTE, format_summary, marks
from w2sg.report.sentences import short_answer
from w2sg.runtime.files import atomic_path
from w2sg.trajectories.summary import read_summary

START, END = "<!-- result -->", "<!-- /result -->"
"""Comments around the block."""

COMMITTED, FRESH = Path("docs/results/nano_summary.csv"), Path("results/nano/tables/summary.csv")
"""The committed table, and the one that a run of the embedded study writes; relative to the project's folder."""

TAKEN_OVER = {
    COMMITTED: FRESH,
    Path("docs/images/nano.png"): Path("results/nano/figures/trajectory/nano/newsgroups_order.png"),
    Path("docs/images/prediction.png"): Path("results/nano/figures/prediction/nano/newsgroups_tech.png"),
    Path("docs/images/layers.png"): Path("results/nano/figures/layers/nano/newsgroups_order.png"),
    Path("docs/results/nano_trajectory.parquet"): Path("results/nano/figures/trajectory/nano/newsgroups_order.parquet"),
}
"""What is committed of a run: table, the pictures of README and gallery, and what the notebook draws, so that all are of the same."""


def result_block(summary: pd.DataFrame) -> str:
    """Returns the block in Markdown: the answer in short, the wide table, what its columns mean; of an empty table the sentence alone."""
    said = [f"- {sentence}" for sentence in short_answer(summary)]
    if summary.empty:
        return "\n".join([START, *said, END])
    shown = format_summary(summary)
    heads = [name.replace("\n", " ") for name in shown.columns]
    rows = [heads, ["---"] * len(heads), *shown.to_numpy().tolist()]
    table = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join([START, *said, "", *table, "", f"{SUMMARY_NOTE} {marks(summary)}", END])


def with_block(text: str, block: str) -> str:
    """Returns a document whose block is replaced.

    Raises:
        ValueError: If the document does not hold the two comments once, in order.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end) or START in after or END in after:
        raise ValueError(f"README.md: expected one {START} and after it one {END}")
    return before + block + after


def renew(root: Path = Path()) -> None:
    """Takes over tables and pictures of a finished run, if there is one, and writes README's block; nothing is written before all is read."""
    ran, readme = (root / FRESH).exists(), Path("README.md")
    contents = {committed: (root / fresh).read_bytes() for committed, fresh in TAKEN_OVER.items() if ran}
    block = result_block(read_summary(root / (FRESH if ran else COMMITTED)))
    contents[readme] = with_block((root / readme).read_text(encoding="utf-8"), block).encode()
    for name, content in contents.items():
        with atomic_path(root / name) as path:
            path.write_bytes(content)


if __name__ == "__main__":
    renew()
