"""What the report says of the texts that models read: one example with its token ids, what was cut, and who read otherwise."""

from __future__ import annotations

import pandas as pd

from w2sg.study.texts.templates import shorten

NAMED = 5
"""Revisions that are named; more are counted."""

LENGTH = 160
"""Characters of an example that are shown at either end."""


def reading_table(readings: pd.DataFrame) -> pd.DataFrame:
    """Returns a row of text cells per model and dataset of READINGS: what most of its revisions read, and which do not."""
    shown = []
    for (model, dataset), rows in readings.groupby(["model", "dataset"], sort=True):
        counts = rows["ids"].value_counts()
        usual = rows[rows["ids"] == counts.index[0]]
        row, others = usual.iloc[-1], rows.loc[rows["ids"] != counts.index[0], "revision"].tolist()
        cut = f"{row['cut_chosen']:.1%} of the chosen and {row['cut_rejected']:.1%} of the rejected texts lose their beginning"
        shown.append(
            {
                "model": model,
                "dataset": dataset,
                "text": repr(shorten(row["example"], LENGTH)),
                "first ids": row["first_ids"],
                "last ids": row["last_ids"],
                "longest, tokens": str(row["max_tokens"]),
                "cut": cut if row["cut_chosen"] or row["cut_rejected"] else "none",
                "revisions": _alike(len(rows), others),
            }
        )
    return pd.DataFrame(shown)


def _alike(total: int, others: list[str]) -> str:
    if not others:
        return f"{total}, all with these ids" if total > 1 else "1"
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    return f"{total - len(others)} of {total} with these ids; other ids: {', '.join(others[:NAMED])}{more}"
