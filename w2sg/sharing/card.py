"""The card of a shared study: a README whose head the Hub reads, with the numbers and where the texts come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from w2sg import __version__
from w2sg.report.html.head import LICENCES
from w2sg.report.readme import END, START, result_block

PAPER = "https://arxiv.org/abs/2605.05710"
"""The paper that the workflow implements."""


def write_card(
    study: str,
    config: Mapping[str, Any],
    origin: Mapping[str, Any],
    summary: pd.DataFrame,
    *,
    licence: str = "",
    names: Sequence[str] = (),
) -> str:
    """Returns the card in Markdown, whose head is that of a dataset on the Hub.

    Args:
        study: Its name.
        config: Its whole configuration.
        origin: Commit of the code and hash of the configuration, among others.
        summary: Its table of conclusions.
        licence: Licence of the results, by the Hub's identifier; empty: none is stated.
        names: Files that the study has, so that the Hub's viewer is told of those that are there.
    """
    tables = [name for name in ("tables/summary.csv", "tables/metrics.parquet") if name in names]
    head = [
        "---",
        f"pretty_name: {json.dumps(f'w2sg: {study}')}",
        *([f"license: {licence}"] if licence else []),
        "tags: [weak-to-strong-generalization, probing, pre-training, w2sg]",
        *(["configs:"] if tables else []),
        *(f"- {{config_name: {name.split('/')[1].split('.')[0]}, data_files: {name}}}" for name in tables),
        "---",
    ]
    result = result_block(summary).removeprefix(START).removesuffix(END).strip()
    texts = [
        "| text | used as | source | licence, as its source states it |",
        "| --- | --- | --- | --- |",
        *_texts(config),
    ]
    return "\n".join(
        [
            *head,
            f"# {study}",
            "",
            f"Weak-to-strong generalization over pre-training, measured with w2sg {__version__} after [arXiv 2605.05710]({PAPER}). "
            "`report.html` opens in a browser without network.",
            "",
            "## Result",
            "",
            result,
            "",
            "## What is here",
            "",
            "`tables/` (conclusions, every metric, statistics), `predictions/` (margins of the students on the test pairs, no texts), "
            "the supervisors' labels (`..._labels/`), `figures/`, `config.json` (the whole configuration), `origin.json` (code, libraries), "
            "`SHA256SUMS`. "
            "Hidden states and weights are not here. The same again: `snakemake --cores 8 --configfile config.json` at commit "
            f"`{origin.get('code') or 'unknown'}`.",
            "",
            "## Texts",
            "",
            "`tables/readings.parquet` and the report show one example text of each dataset. No other text is here.",
            "",
            *texts,
            "",
        ]
    )


def _texts(config: Mapping[str, Any]) -> Iterator[str]:
    used = {str(name): "pairs or labelled texts" for name in config["sweep"]["datasets"]}
    corpus = config["evaluation"]["corpus"]
    entries = [(name, use, config["datasets"][name]) for name, use in used.items()]
    for name, use, entry in [*entries, (corpus, "evaluation loss", config["corpora"][corpus])]:
        origin = config["corpora"][entry["corpus"]] if entry["source"] == "corpus" else entry
        place = str(origin.get("repo") or origin.get("package") or "a file of the study's authors")
        version = origin.get("revision") or origin.get("version") or "not pinned"
        cell = f"{place} ({version})" if "repo" in origin or "package" in origin else place
        yield f"| {name} | {use} | {cell} | {LICENCES.get(place, 'see its source')} |"
