"""The configuration reference, written from the schema: `python -m w2sg.study.reference > config/README.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from w2sg.study.config import load_schema

SCHEMA = Path(__file__).resolve().parents[2] / "workflow" / "schemas" / "config.schema.yaml"
INTRODUCTION = """# Configuration

<!-- Written by `python -m w2sg.study.reference > config/README.md`; change workflow/schemas/config.schema.yaml instead. -->

Three files are read in this order: `datasets.yaml` (corpora and datasets), `models.yaml` (models and families), `config.yaml` (the
study). A file given by `--configfile` is laid over them: mappings are merged, lists and numbers replaced. Studies therefore
choose by the lists `sweep.families` and `sweep.datasets`. Unknown keys and wrong values are refused before anything runs.

**A new family or dataset** takes a few lines and, for a family, one revision list: [docs/new_family.md](../docs/new_family.md).
YAML reads `1e-5` as text: write `1.0e-5`.

**Revisions on the Hub** are resolved to a commit, fetched in one weight format (safetensors if the branch has it; code and other
pickles never), checked against the Hub's own hashes, used once and deleted. `HF_ENDPOINT`, `HF_TOKEN`, `HTTPS_PROXY` and
`HF_HUB_OFFLINE` work as in the client; a revision that lies whole in the local cache (`hf download`) is used where it lies. With
`fetch.mode: fused` the next revisions download while one is on the GPU, if `--cores` leaves room for `fetch.snapshots` jobs. With
`split`, rule `fetch_revision` does the downloads where Snakemake runs; waiting costs it no core. The modes give the same tables,
but Snakemake sees another input: when you change from `fused` to `split` in the middle of a sweep add `--rerun-triggers mtime params` from then
on, or finished revisions are fetched again. What killed jobs left of a download goes when Snakemake next starts or ends.

| key | allowed | meaning |
| --- | --- | --- |
"""


def reference(schema: Mapping[str, Any]) -> str:
    """Returns the reference in Markdown: one table row per key, with what is allowed and its meaning."""
    rows = [f"| `{key}` | {allowed} | {meaning} |" for key, allowed, meaning in _keys(schema, schema, "")]
    return INTRODUCTION + "\n".join(rows) + "\n"


def _keys(node: Mapping[str, Any], schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    for key, raw in node.get("properties", {}).items():
        entry = _resolve(raw, schema)
        path = f"{prefix}{key}"
        yield path, _allowed(entry), _meaning(entry)
        yield from _keys(entry, schema, f"{path}.")
        named = entry.get("additionalProperties")
        if isinstance(named, Mapping):
            inner = _resolve(named, schema)
            branches = [_resolve(rule["then"], schema) for rule in inner.get("allOf", []) if "then" in rule]
            seen = set()
            for branch in branches or [inner]:
                kind = branch.get("properties", {}).get("source", {}).get("const")
                for row in _keys(branch, schema, f"{path}.<name>."):
                    if not row[0].endswith(".source") and row not in seen:
                        seen.add(row)
                        yield row[0], row[1], (f"({kind}) " if kind else "") + row[2]


def _resolve(entry: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" not in entry:
        return dict(entry)
    target = _resolve(schema["$defs"][entry["$ref"].rsplit("/", 1)[1]], schema)
    return target | {key: value for key, value in entry.items() if key != "$ref"}


def _meaning(entry: Mapping[str, Any]) -> str:
    default = f" Default {entry['default']}." if "default" in entry and "default" not in entry["description"] else ""
    return entry.get("description", "").replace("|", "\\|") + default


def _allowed(entry: Mapping[str, Any]) -> str:
    if "const" in entry:
        return f"`{entry['const']}`"
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"])
    if "anyOf" in entry:
        return " or ".join(_allowed(option) for option in entry["anyOf"])
    kind = entry.get("type", "any")
    if kind == "array":
        return (
            f"list of {_allowed(entry['items'])}"
            if "enum" in entry["items"]
            else f"list of {entry['items'].get('type', 'names')}"
        )
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {entry[name]:g}" for name, sign in signs.items() if name in entry]
    return f"{'mapping' if kind == 'object' else kind} {', '.join(bounds)}".strip()


if __name__ == "__main__":
    sys.stdout.write(reference(load_schema(SCHEMA)))
