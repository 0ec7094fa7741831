"""What is written from the sections: the reference of all keys, and the JSON Schema by which editors check a file.

`python -m w2sg.study.reference > config/README.md`; with `schema` behind it, `> workflow/schemas/config.schema.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from w2sg.study.fields import NAME, TEXT, WORDS
from w2sg.study.sections import Study

INTRODUCTION = """# Configuration

<!-- Written by `python -m w2sg.study.reference > config/README.md`; change the sections in w2sg/study/ instead. -->

Three files are read in this order: `datasets.yaml` (corpora and datasets), `models.yaml` (models and families), `config.yaml` (the
study). A file given by `--configfile` is laid over them, and what stands behind `--config` over all: mappings are merged, lists and
numbers replaced. Studies therefore choose by the lists `sweep.families` and `sweep.datasets`. Unknown keys and wrong values are
refused before anything runs, with file and line. A key that is not given has its default; "required" marks those without one.

Values behind `--config` are YAML, like those of a file: `--config partial=true`, `--config heads='{seeds: [0]}'`.
YAML reads `1e-5` as text: write `1.0e-5`. Where Snakemake says only that a file is no valid YAML,
`python -c "import yaml; yaml.safe_load(open('mine.yaml'))"` names the line.

**Editors** that know JSON Schema (VS Code with the YAML extension, PyCharm, Neovim with yaml-language-server) complete and explain keys
in a file whose first line is `# yaml-language-server: $schema=PATH`, where PATH leads to `workflow/schemas/config.schema.json`.

**A new family or dataset** takes a few lines and, for a family, one revision list: [docs/new_family.md](../docs/new_family.md).

**Revisions on the Hub** are resolved to a commit, fetched in one weight format (safetensors if the branch has it; code and other
pickles never), checked against the Hub's own hashes, used once and deleted. `HF_ENDPOINT`, `HF_TOKEN`, `HTTPS_PROXY` and
`HF_HUB_OFFLINE` work as in the client; a revision that lies whole in the local cache (`hf download`) is used where it lies. With
`fetch.mode: fused` the next revisions download while one is on the GPU, if `--cores` leaves room for `fetch.snapshots` jobs. With
`split`, rule `fetch_revision` does the downloads where Snakemake runs; waiting costs it no core. The modes give the same tables,
but Snakemake sees another input: when you change from `fused` to `split` in the middle of a sweep add `--rerun-triggers mtime params` from then
on, or finished revisions are fetched again. What killed jobs left of a download goes when Snakemake next starts or ends.

## Sections
"""

HEADS = ("key", "allowed", "default", "meaning")

Row = tuple[str, str, str, str]


def schema() -> dict[str, Any]:
    """Returns the JSON Schema for editors: it accepts any part of a configuration, for a file is laid over others."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_simple(Study.model_json_schema(), "required")}


def reference() -> str:
    """Returns config/README.md: a row for each key of the sections, then for those of named entries."""
    whole = _simple(Study.model_json_schema())
    named = {key: entry for key, entry in whole["properties"].items() if "patternProperties" in entry}
    sections = {**whole, "properties": {k: v for k, v in whole["properties"].items() if k not in named}}
    parts = [INTRODUCTION, _table(HEADS, _rows(sections, whole["$defs"], ""))]
    for name, entry in named.items():
        (kind,) = entry["patternProperties"].values()
        parts.append(f"\n## Entries of `{name}`\n\n{entry['description']}\n")
        parts.append(_entries(f"{name}.<name>.", kind, whole["$defs"]))
    return "\n".join(parts)


def _simple(node: Any, *without: str) -> Any:
    """Leaves out what no reader needs, and what only a whole configuration must say."""
    if isinstance(node, list):
        return [_simple(item, *without) for item in node]
    if not isinstance(node, dict):
        return " ".join(node.split()) if isinstance(node, str) else node
    kept: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("properties", "$defs", "patternProperties"):
            kept[key] = {name: _simple(entry, *without) for name, entry in value.items()}
        elif key not in ("discriminator", "title", *without) and not (key == "default" and not _is_shown(value)):
            kept["anyOf" if key == "oneOf" else key] = _simple(value, *without)
    given = [option for option in kept.get("anyOf", []) if option != {"type": "null"}]
    if len(given) == 1 and node.get("default") is None:  # a key that may be left out
        kept = given[0] | {key: value for key, value in kept.items() if key != "anyOf"}
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    return kept


def _is_shown(default: Any) -> bool:
    return default is not None and not isinstance(default, dict)


def _entries(prefix: str, entry: dict[str, Any], defs: dict[str, Any]) -> str:
    """Returns the table of a map's entries: a row that entries of several sources share stands there once."""
    kinds = [_resolved(option, defs) for option in entry.get("anyOf", [])]
    if not kinds:
        return _table(HEADS, _rows(_resolved(entry, defs), defs, prefix))
    rows: dict[Row, list[str]] = {}
    for kind in kinds:
        properties = kind["properties"]
        first = {"source": properties["source"], **properties}
        for row in _rows({**kind, "properties": first}, defs, prefix):
            rows.setdefault(row, []).append(_allowed(properties["source"], defs))
    order = list(dict.fromkeys(row[0] for row in rows))
    shown = [(*row, "" if len(found) == len(kinds) else ", ".join(found)) for row, found in rows.items()]
    return _table([*HEADS, "only of"], sorted(shown, key=lambda row: order.index(row[0])))


def _rows(node: dict[str, Any], defs: dict[str, Any], prefix: str) -> Iterator[Row]:
    for key, raw in node.get("properties", {}).items():
        entry = _resolved(raw, defs)
        default = "required" if key in node.get("required", ()) else ""
        default = f"`{json.dumps(entry['default'])}`" if "default" in entry else default
        yield f"`{prefix}{key}`", _allowed(entry, defs), default, entry.get("description", "")
        yield from _rows(entry, defs, f"{prefix}{key}.")


def _table(heads: Sequence[str], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _resolved(entry: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in entry:
        return entry
    own = {key: value for key, value in entry.items() if key != "$ref"}
    return _resolved(defs[entry["$ref"].rsplit("/", 1)[1]], defs) | own


def _allowed(entry: dict[str, Any], defs: dict[str, Any]) -> str:
    entry = _resolved(entry, defs)
    if "const" in entry:
        return f"`{entry['const']}`"
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"])
    if "anyOf" in entry:
        return " or ".join(_allowed(option, defs) for option in entry["anyOf"])
    if entry.get("type") == "array":
        return f"list of {_allowed(entry['items'], defs)}"
    if "pattern" in entry:
        return {NAME: "name", TEXT: "text"}.get(entry["pattern"], WORDS[entry["pattern"]])
    words = {"object": "mapping", "string": "text", "boolean": "true or false", "null": "null"}
    if entry["type"] in words:
        return words[entry["type"]]
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {entry[name]:g}" for name, sign in signs.items() if name in entry]
    return f"{entry['type']} {', '.join(bounds)}".strip()


if __name__ == "__main__":
    text = json.dumps(schema(), indent=1, ensure_ascii=False) + "\n" if sys.argv[1:] == ["schema"] else reference()
    sys.stdout.write(text)
