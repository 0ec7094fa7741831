"""What `make sweep` says before and after: where progress is to be seen, the result, where the report is."""

from __future__ import annotations

import sys
from pathlib import Path

SUMMARY = Path("results/tables/summary.txt")
REPORT = Path("results/report.html")


def message(*, before: bool) -> str:
    """Returns the text for the terminal.

    Args:
        before: Whether the sweep is about to start.

    Raises:
        FileNotFoundError: After a sweep that wrote no summary or report.
    """
    if before:
        return "embedded sweep: about ten minutes on two cores the first time; each job's log is under logs/\n"
    if not REPORT.exists():
        raise FileNotFoundError(f"{REPORT} was not written; the reason is above and in logs/")
    return f"\n{SUMMARY.read_text(encoding='utf-8')}\nreport: {REPORT.resolve()}\ntables: {SUMMARY.parent.resolve()}\n"


if __name__ == "__main__":
    sys.stdout.write(message(before="--before" in sys.argv))
