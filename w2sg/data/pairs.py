"""Preference pairs, and labelled texts as pairs with one side: the record, its stable id, the splits, the checks on entry."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from w2sg.data.dialogues import AS_TEXT, READ_TWICE, WRITTEN_OUT, pair_fault, repeats_prompt, text_fault, wrapped
from w2sg.data.duplicates import Likeness, compare_texts
from w2sg.runtime.files import sha256
from w2sg.study.protocols import FIELDS, SOURCES, SPLITS
from w2sg.study.texts.spelling import normalise
from w2sg.tables.schemas import PAIRS

REPEATED = 0.1
"""Share of responses that may repeat their prompt: some answers quote the question."""

UNDERSAMPLED = "text of the class that has more of them in its split"
"""Reason under which texts are counted that are left out so that both classes have as many."""

_SHOWN = 10
"""Mistakes listed in one error message, and labels in the log."""


@dataclass(frozen=True, kw_only=True)
class CheckedPairs:
    """Pairs that passed the checks, and what the checks saw."""

    pairs: pd.DataFrame
    """As :data:`PAIRS` declares, in the order of splits and positions."""
    rows: dict[str, int]
    """Pairs per split."""
    dropped: tuple[str, ...]
    """One line per dropped row: dataset, split, row, file, reason."""
    shared_prompts: dict[str, int]
    """Distinct prompts in common, per two splits, such as ``ground_truth/test``; compared without case, width and spaces."""
    alike_prompts: dict[str, int]
    """The same of groups of prompts that are linked by near-duplicates (:func:`w2sg.data.duplicates.compare_texts`)."""
    unchecked: str
    """What could not be compared, in words; empty where everything was."""
    skipped: dict[str, int]
    """Rows or windows of the source that are not used by its definition, per reason."""

    def lines(self) -> list[str]:
        """Returns the report as lines for a log."""
        lines = [f"pairs: {self.rows}", f"prompts shared between splits: {self.shared_prompts}"]
        lines += [f"prompts shared or nearly: {self.alike_prompts}"]
        lines += [f"not checked: {self.unchecked}"] if self.unchecked else []
        for side in FIELDS[1:]:
            labels = Counter(label for label in self.pairs[f"{side}_label"] if label)
            lines += [f"{side}, pairs per label: {dict(labels.most_common(_SHOWN))}"] if labels else []
        lines += [f"skipped {count}: {reason}" for reason, count in sorted(self.skipped.items())]
        return lines + [f"dropped: {line}" for line in self.dropped]


def row_id(prompt: str, chosen: str, rejected: str) -> str:
    """Returns a pair's id, 16 hexadecimal digits of its content: the same in any order, file and dataset.

    The three texts are hashed as a JSON list, so no choice of texts can pass for another split of the same
    characters.
    """
    content = json.dumps([prompt, chosen, rejected]).encode("ascii")
    return sha256(content)[:16]


def check_pairs(
    frame: pd.DataFrame,
    *,
    name: str,
    minimum: int,
    limit: int | None = None,
    on_invalid: str = "error",
    skipped: dict[str, int] | None = None,
    single: bool = False,
) -> CheckedPairs:
    """Returns the pairs of a dataset after refusing, or dropping, rows that cannot be used.

    Refused are texts that are missing, no text, or empty (a prompt may be empty), chosen equal to rejected,
    and a triple that occurs before, in any split, also with chosen and rejected exchanged or other case and spaces. Prompts
    shared between splits are counted. Where the rows do not say what their texts were taken from, it is their prompt if
    another pair has the same, or nearly.

    A labelled text is a pair with one side: chosen if it is of the positive class, else rejected; the other side and the prompt
    are empty. Texts take the part of prompts then, and of the larger class as many are kept as the smaller has.

    Args:
        frame: split, prompt, chosen, rejected; optionally sources and labels (:data:`SOURCES`), and ``row`` (number in
            its source, from 1) and ``origin`` (file or part of the source), for messages.
        name: Dataset.
        minimum: Pairs that every split must have.
        limit: Pairs kept of every split, the first ones; None keeps all.
        on_invalid: ``error``, or ``drop`` to leave such rows out and say so.
        skipped: What the source left out, per reason; only reported.
        single: Whether rows are labelled texts.

    Raises:
        ValueError: Naming dataset, split, row, file, reason and what to do; also if responses repeat their prompts.
    """
    ordered = frame.sort_values(by="split", key=lambda split: split.map(SPLITS.index), kind="stable", ignore_index=True)
    faults = _faults(ordered, single=single)
    lines = tuple(f"dataset {name}: {place}: {reason}" for _, place, reason in faults)
    if faults and on_invalid == "error":
        more = f"\n... and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        raise ValueError(
            "\n".join(lines[:_SHOWN])
            + f"{more}\ncorrect or remove these rows, or set on_invalid: drop in datasets.{name}"
        )
    kept, left_out = ordered.drop(index=[number for number, _, _ in faults]), Counter(skipped or {})
    if single:
        whole, kept = kept, _balance(kept, limit)
        left_out[UNDERSAMPLED] += _undersampled(whole)
    counts = {split: int((kept["split"] == split).sum()) for split in SPLITS}
    if short := [split for split in SPLITS if counts[split] < minimum]:
        lost = f" after {len(faults)} rows were dropped" if faults else ""
        kind = "valid texts of which half are of either class" if single else "valid pairs"
        advice = f"set pairs (or minimum) in datasets.{name} to at most {min(counts.values())}, or use a larger source"
        if not min(counts.values()):
            held = len(kept) if single else kept["prompt"].map(normalise).nunique()
            what = "texts that can be used" if single else "distinct prompts, each of them in one split"
            advice = f"all splits together have {held} {what}; use a larger source"
        raise ValueError(
            f"dataset {name}: split {short[0]} has {counts[short[0]]} {kind}{lost}, {minimum} are wanted; {advice}"
        )
    if limit is not None:
        kept = kept.groupby("split", sort=False).head(limit)
    _refuse_odd(kept, name)
    ids = [row_id(*row) for row in zip(*(kept[field] for field in FIELDS), strict=True)]
    position = kept.groupby("split", sort=False).cumcount().astype("int64")
    alike = compare_texts((kept["chosen"] + kept["rejected"] if single else kept["prompt"]).tolist())
    prompts = _shared(alike.groups)
    own = [np.where(single & (kept[side] == ""), "", np.array(prompts, dtype=object)) for side in FIELDS[1:]]
    sources = dict(zip(SOURCES, (*own, "", ""), strict=True))
    table = kept.assign(**{column: kept.get(column, other) for column, other in sources.items()})
    table = table.assign(dataset=name, row_id=ids, position=position)
    pairs = table[list(PAIRS.fields.names)].reset_index(drop=True)
    return CheckedPairs(
        pairs=pairs,
        rows={split: int((pairs["split"] == split).sum()) for split in SPLITS},
        dropped=lines,
        shared_prompts=_in_common(alike.same, table["split"].tolist()),
        alike_prompts=_in_common(alike.groups, table["split"].tolist()),
        unchecked="" if SOURCES[0] in frame else _unchecked(alike),
        skipped=dict(left_out),
    )


def _balance(frame: pd.DataFrame, limit: int | None) -> pd.DataFrame:
    """Returns as many labelled texts of either class in each split, the first ones, in turns; ``limit``: of both together."""
    other = frame["chosen"].eq("").to_numpy()
    rank = frame.groupby(["split", other], sort=False).cumcount()
    least = frame["split"].map({split: min(_classes(frame, split)) for split in SPLITS})
    turns = frame.assign(_rank=rank, _other=other, _split=frame["split"].map(SPLITS.index))
    kept = turns[rank < (least if limit is None else least.clip(upper=limit // 2))]
    return kept.sort_values(by=["_split", "_rank", "_other"]).drop(columns=["_rank", "_other", "_split"])


def _classes(frame: pd.DataFrame, split: str) -> tuple[int, int]:
    """Returns how many texts of a split are of the positive class, and how many are not."""
    own = frame.loc[frame["split"] == split, "chosen"].ne("")
    return int(own.sum()), int((~own).sum())


def _undersampled(frame: pd.DataFrame) -> int:
    return sum(abs(positive - other) for positive, other in (_classes(frame, split) for split in SPLITS))


def _unchecked(alike: Likeness) -> str:
    unasked = alike.same.count("")
    parts = (
        [f"{unasked} pairs have no prompt, so whether they answer the same question is not known"] if unasked else []
    )
    if alike.apart:
        parts.append(f"{alike.apart} prompts resemble too many others to keep them together, and count as different")
    return "; ".join(parts)


def _shared(groups: Sequence[str]) -> list[str]:
    """Returns a short id of every group that several pairs are in, and empty text for the others."""
    pairs = Counter(groups)
    return [sha256(group.encode())[:16] if group and pairs[group] > 1 else "" for group in groups]


def _in_common(names: Sequence[str], splits: Sequence[str]) -> dict[str, int]:
    """Returns how many distinct names that are not empty two splits have in common, per two splits."""
    held = {split: {name for name, own in zip(names, splits, strict=True) if name and own == split} for split in SPLITS}
    return {f"{a}/{b}": len(held[a] & held[b]) for a, b in combinations(SPLITS, 2)}


def _refuse_odd(frame: pd.DataFrame, name: str) -> None:
    """Raises an error if a share of the responses of either side repeat their prompt, or if all are something else, saved as text."""
    for side in ("chosen", "rejected"):
        texts = [text for text in frame[side] if text]
        if len(texts) > 1 and all(map(wrapped, texts)):
            raise ValueError(f"dataset {name}: {side} looks like {WRITTEN_OUT} in all of {len(texts)} rows; {AS_TEXT}")
        repeated = [repeats_prompt(*texts) for texts in zip(frame["prompt"], frame[side], strict=True)]
        if sum(repeated) > REPEATED * len(frame):
            first = frame[repeated].iloc[0]
            place = f"{first['split']} row {first['row']}" if "row" in frame else first["split"]
            found = f"{sum(repeated)} of {len(frame)} {side} responses repeat their prompt, such as {place}"
            raise ValueError(f"dataset {name}: {found}; {READ_TWICE}")


def deal(groups: Sequence[str], *, seed: int, weights: ArrayLike = 1, sides: ArrayLike = 0) -> np.ndarray:
    """Returns the split of every row, whole groups together, splits as even as the groups allow.

    Groups come in an order drawn by the seed from the sorted group names, and each goes to the split that is
    lightest in what the group consists of; so the result does not depend on the order of the rows.

    Args:
        groups: Group of every row, n names.
        seed: Seed of the order.
        weights: What a row counts for; default 1.
        sides: Kind of every row, from 0; each kind is balanced for itself. Default: one kind.

    Returns:
        Numbers of :data:`SPLITS`, int64 of shape (n,).
    """
    names, codes = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    loads = np.zeros((len(names), int(np.max(sides, initial=0)) + 1), dtype=np.int64)
    np.add.at(loads, (codes, np.asarray(sides)), weights)
    totals = np.zeros((len(SPLITS), loads.shape[1]), dtype=np.int64)
    chosen = np.zeros(len(names), dtype=np.int64)
    for group in np.random.default_rng(seed).permutation(len(names)):
        chosen[group] = np.argmin(totals @ loads[group])
        totals[chosen[group]] += loads[group]
    return chosen[codes]


def deal_by_prompt(frame: pd.DataFrame, *, seed: int, single: bool = False) -> pd.DataFrame:
    """Returns the rows with a ``split``, all rows of a prompt, or of nearly the same, in one, in an order drawn by the seed.

    Args:
        frame: prompt, chosen, rejected, and any other columns. Rows without a prompt are dealt one by one.
        seed: Seed; the result does not depend on the order of the rows.
        single: Whether rows are labelled texts: these take the part of prompts, and each class is dealt evenly.
    """
    asked = (
        [one_side(*sides) for sides in zip(frame["chosen"], frame["rejected"], strict=True)]
        if single
        else frame["prompt"]
    )
    ids = [row_id(*map(str, row)) for row in zip(*(frame[field] for field in FIELDS), strict=True)]
    alike = compare_texts([text if isinstance(text, str) else "" for text in asked])
    groups = [
        f"prompt {group}" if group else f"row {identity}" for group, identity in zip(alike.groups, ids, strict=True)
    ]
    sides = frame["chosen"].eq("").to_numpy(np.int64) if single else 0
    split = np.array(SPLITS, dtype=object)[deal(groups, seed=seed, sides=sides)]
    dealt = frame.assign(split=split, _id=ids).sort_values(by="_id", kind="stable")
    shuffled = dealt.iloc[np.random.default_rng([seed, 1]).permutation(len(dealt))]
    return shuffled.drop(columns="_id").reset_index(drop=True)


def one_side(chosen: Any, rejected: Any) -> Any:
    """Returns the text of a pair with one side."""
    return rejected if isinstance(chosen, str) and not chosen else chosen


def _faults(frame: pd.DataFrame, *, single: bool) -> list[tuple[int, str, str]]:
    """Returns (index, place, reason) of every row that cannot be used, by file and row; of equal triples all but the first."""
    placed = frame.assign(
        row=frame.get("row", frame.groupby("split", sort=False).cumcount() + 1), origin=frame.get("origin", "")
    )
    seen: dict[str, str] = {}
    faults = []
    columns = placed[["split", "row", "origin", *FIELDS]].itertuples(index=False, name=None)
    for index, (split, row, origin, *texts) in enumerate(columns):
        place = f"{split} row {row}" + (f" ({origin})" if origin else "")
        reason = text_fault("text", one_side(*texts[1:])) if single else pair_fault(*texts)
        if reason is None:
            plain, mirrored = (row_id(*map(normalise, order)) for order in (texts, (texts[0], texts[2], texts[1])))
            if plain in seen:
                reason = f"same {'text' if single else 'prompt, chosen and rejected'} as {seen[plain]}"
            elif mirrored in seen and single:
                reason = f"the text of {seen[mirrored]}, which is of the other class there"
            elif mirrored in seen:
                reason = f"the mirror image of {seen[mirrored]}: the same texts, chosen and rejected exchanged"
            seen.setdefault(plain, place)
        if reason is not None:
            faults.append(((str(origin), row if "row" in frame else index), (index, place, reason)))
    return [fault for _, fault in sorted(faults)]
