"""Comparison of what is published of a model's revisions: which carry another one's weights, or other small files than the rest.

Branches with wrong weights are a known fault of published sweeps, and one wrong shard among several is enough. So single
files are compared, not only whole revisions, and those of both formats: one branch may hold in the old format alone what
another holds in both. Who is right cannot be read from hashes alone; the rule for a file that would be used is:

1. Equal to the final weights (the list's last revision, or ``main``): all but the last revision are wrong.
2. Neighbours in the list: the state did not change yet (the warm-up's first steps); the first one stands for all.
3. Anything else: nobody can tell which one is right, so all are flagged.

A file that is not used, because its branch has the other format too, is compared as well. If it is another's, its own revision
gets a note and no flag: branches begin as copies of ``main``, whose file in the old format may have stayed behind.

Tokenizer and configuration are compared as well: a revision that turns text into other ids, or is run with other settings, than
most others is no further state of the same training. So are those without a tokenizer, or of a type that is not known.

Of weights that were hashed here, a file that all revisions share is taken to hold what was not trained, and is no copy.

A revision of which nothing is known (without a network: not in the cache) is compared with nothing and never flagged.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from w2sg.revisions.facts.comparison import (
    asked_fault,
    chat_fault,
    differences_from_most,
    named,
    odd_ones,
    together,
    window_notes,
)
from w2sg.revisions.facts.descriptions import Description
from w2sg.revisions.offline import Published
from w2sg.study.lists.rows import HUB_DEFAULT
from w2sg.tables.files import read_table
from w2sg.tables.origins import read_origin, read_reading
from w2sg.tables.schemas import AUDIT, RESULTS

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Finding:
    original: str
    shared: int
    spare: int
    doubt: str
    """What is not known of which is right; empty where the default branch tells."""


def audit_table(model: str, published: Sequence[Published], *, frozen: Collection[str] = ()) -> pd.DataFrame:
    """Returns the audit of one model, schema AUDIT.

    Args:
        model: Its name.
        published: Its revisions in order of their steps; ``main`` may be among them and gets no row.
        frozen: Hashes of files that are nobody's copy.
    """
    findings = _findings(published, frozen)
    odd: dict[str, list[str]] = {}
    for name, reason in differences_from_most({item.revision: item.description for item in published}):
        odd.setdefault(name, []).append(reason)
    rows = []
    for item in published:
        if item.revision == HUB_DEFAULT and len(published) > 1:
            continue
        found = findings[item.revision]
        wrong = [finding for finding in found if finding.shared]
        lacks = item.missing or item.description.fault
        reasons = [lacks or item.unknown or _reason(found, item), *odd.get(item.revision, [])]
        rows.append(
            {
                "model": model,
                "revision": item.revision,
                "commit": item.commit,
                "weights_hash": item.weights_hash,
                "files": len(item.hashes),
                "bytes": item.size,
                "flagged": bool(wrong or lacks or odd.get(item.revision)),
                "duplicate_of": wrong[0].original if wrong else "",
                "reason": "; ".join(filter(None, reasons)),
            }
        )
    return pd.DataFrame(rows, columns=AUDIT.fields.names)


def warn_of(
    table: pd.DataFrame, published: Sequence[Published], *, layers: str | Sequence[int], config: Mapping[str, Any]
) -> None:
    """Names on the terminal what an audit flags, and which revisions lack a wanted layer, target of LoRA or chat template, or cut texts sooner.

    Args:
        table: What :func:`audit_table` returns.
        published: What it was made of.
        layers: ``activations.layers``, as it holds for the model.
        config: The checked configuration.
    """
    rows = table.to_dict("records")
    for row in rows:
        if row["flagged"]:
            _log.warning("audit %s: revision %s is flagged: %s", row["model"], row["revision"], row["reason"])
    known = {item.revision: item.description for item in published}
    asked = {row["revision"]: known[row["revision"]] for row in rows}
    faults = [
        (name, asked_fault(config, layers, one) or (chat_fault(config, one) if one.tokenizer else ""))
        for name, one in asked.items()
    ]
    for text in [*together(faults), *window_notes(config, asked)]:
        _log.warning("audit %s: %s", rows[0]["model"], text)


def join_audits(audits: Sequence[str], losses: Sequence[str], datasets: Sequence[str]) -> pd.DataFrame:
    """Returns the audits of Hub models, joined with those of others, which are made of what was extracted; schema AUDIT.

    Args:
        audits: Files of the Hub models' audits.
        losses: Files of the evaluation loss, one per revision of the others, by step.
        datasets: Those of which the revisions' token ids are compared.

    Raises:
        TableError: If a file cannot be read, or nothing tells how a dataset was read.
    """
    tables = [read_table(path, RESULTS) for path in losses]
    empty = AUDIT.fields.empty_table().to_pandas()  # of a partial study there may be no other
    weights = [read_origin(path).get("weights", {}) for path in losses]
    frames = [empty, *(read_table(path, AUDIT) for path in audits), *audit_measured(tables, weights)]
    readings = {
        (table["model"].iloc[0], table["revision"].iloc[0]): read_reading(path, datasets)
        for path, table in zip(losses, tables, strict=True)
    }
    return compare_readings(pd.concat(frames, ignore_index=True), readings)


def audit_measured(losses: Sequence[pd.DataFrame], weights: Sequence[Mapping[str, str]]) -> list[pd.DataFrame]:
    """Returns the audits of models whose weights were hashed when they were opened.

    Args:
        losses: Tables of the evaluation loss, schema RESULTS, of their revisions by step; ``commit`` is ``sha256:`` and the weights' hash.
        weights: SHA-256 per weight file of each; an extraction by an earlier version says none, and its revision is compared as a whole.
    """
    found: dict[str, list[Published]] = {}
    for table, hashes in zip(losses, weights, strict=True):
        row = table.iloc[0]
        known = hashes or {"weights": row["commit"].removeprefix("sha256:")}
        published = Published(revision=row["revision"], commit=row["commit"], hashes=known)
        found.setdefault(row["model"], []).append(published)
    return [audit_table(model, published, frozen=_shared_by_all(published)) for model, published in found.items()]


def _shared_by_all(published: Sequence[Published]) -> frozenset[str]:
    """Hashes of files that three or more revisions all share beside others: of what was not trained, such as embeddings."""
    every = [frozenset(item.hashes.values()) for item in published]
    shared = frozenset.intersection(*every)
    return shared if len(every) > 2 and all(one > shared for one in every) else frozenset()


def compare_readings(audit: pd.DataFrame, readings: Mapping[tuple[str, str], Mapping[str, Any]]) -> pd.DataFrame:
    """Returns an audit in which revisions are flagged too that were read otherwise than most of their model.

    Args:
        audit: Schema AUDIT.
        readings: What extractions say of how they read each (model, revision), by step: ``tokenizer`` (a hash), ``config``
            (what the library makes of the configuration), and under ``texts`` per dataset ``ids``, a hash of the token ids.
    """
    reasons: dict[tuple[str, str], list[str]] = {}
    for model in dict.fromkeys(model for model, _ in readings):
        own = {revision: read for (name, revision), read in readings.items() if name == model}
        known = {name: Description(tokenizer=read["tokenizer"], config=read["config"]) for name, read in own.items()}
        for name, reason in differences_from_most(known):
            reasons.setdefault((model, name), []).append(reason)
        for dataset in dict.fromkeys(dataset for read in own.values() for dataset in read["texts"]):
            ids = {name: read["texts"][dataset]["ids"] for name, read in own.items() if dataset in read["texts"]}
            for name, same in odd_ones(ids).items():
                text = f"the token ids of {dataset} are not those of {named(same)}"
                reasons.setdefault((model, name), []).append(text)
    places = list(zip(audit["model"], audit["revision"], strict=True))
    told = [
        "; ".join(filter(None, [before, *(text for text in reasons.get(place, []) if text not in before)]))
        for place, before in zip(places, audit["reason"], strict=True)
    ]
    flagged = [before or place in reasons for place, before in zip(places, audit["flagged"].tolist(), strict=True)]
    return audit.assign(reason=told, flagged=flagged).astype({"flagged": bool})


def _findings(published: Sequence[Published], frozen: Collection[str]) -> dict[str, list[_Finding]]:
    """Returns what each revision shares with which other one that is right, or may be."""
    listed = [item.revision for item in published if item.revision != HUB_DEFAULT]
    items = {item.revision: item for item in published}
    owners: dict[str, list[str]] = {}
    for item in published:
        # A hash that nobody knows is empty, and equal to nothing.
        for digest in {*item.hashes.values(), *item.spare.values()}.difference([""], frozen):
            owners.setdefault(digest, []).append(item.revision)
    groups: dict[tuple[str, ...], set[str]] = {}
    for digest, names in owners.items():
        if len(names) > 1:
            groups.setdefault(tuple(names), set()).add(digest)
    findings: dict[str, list[_Finding]] = {item.revision: [] for item in published}
    for names, digests in groups.items():
        kept = _right_one(names, listed)
        taken = (
            "; the last revision is taken to be right"
            if listed and kept == listed[-1] and HUB_DEFAULT not in names
            else ""
        )
        doubt = "; which of them is right cannot be told" if kept is None else taken
        for name in names:
            if name not in (kept, HUB_DEFAULT):
                original = kept or next(other for other in names if other != name)
                shared = sum(digest in digests for digest in items[name].hashes.values())
                spare = sum(digest in digests for digest in items[name].spare.values())
                findings[name].append(_Finding(original=original, shared=shared, spare=spare, doubt=doubt))
    return findings


def _right_one(names: Sequence[str], listed: Sequence[str]) -> str | None:
    """The revision of a group of equals that the weights belong to; None where nobody can tell."""
    if listed and listed[-1] in names:
        return listed[-1]
    if HUB_DEFAULT in names:
        return HUB_DEFAULT
    positions = [listed.index(name) for name in names]
    return names[0] if positions == list(range(positions[0], positions[0] + len(names))) else None


def _reason(found: Sequence[_Finding], item: Published) -> str:
    parts = []
    for finding in sorted(found, key=lambda finding: not finding.shared):
        share = (
            "weights" if finding.shared == len(item.hashes) else f"{finding.shared} of {len(item.hashes)} weight files"
        )
        if not finding.shared:
            share = f"{finding.spare} of {len(item.spare)} weight files that are not used"
        parts.append(f"{share} equal to those of {finding.original}{finding.doubt}")
    return "; ".join(parts)
