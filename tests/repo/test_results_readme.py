"""results/README.md says what the code writes: every output of every rule, every declared table, every column."""

from __future__ import annotations

import re

from tests.results_layout import README, ROOT, layout, schema_of
from tests.studies import made_evidence
from w2sg.tables.reference import columns_reference, declared_tables


def test_the_columns_are_those_that_are_declared():
    text = README.read_text(encoding="utf-8")
    assert text.partition("## Columns\n\n")[2] == columns_reference(), "remake it with python -m w2sg.tables.reference"


def test_every_output_of_every_rule_has_a_row():
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    outputs = re.findall(r"output:\n((?: {8,}.*\n)+)", rules)
    paths = {path for block in outputs for path in re.findall(r'"(?:results/|(?=<study>/))([^"]+)"', block)}
    files = {re.sub(r"\{+\w+\}+|<study>", "x", path) for path in paths if "." in path.rpartition("/")[2]}
    assert len(files) > 25
    assert {path for path in files if schema_of(path) is None} == {
        "snapshots/x/x.json"
    }  # a ticket that its reader deletes


def test_the_schemas_of_the_layout_exist():
    names = {schema.name for schema in declared_tables().values()}
    used = {schema for _, schema in layout() if schema and "*" not in schema}
    assert used <= names
    assert {"metrics", "correlations", "transitions", "figure", "theory_acceptance"} <= used


def test_the_columns_of_the_text_tables_are_named():
    text = README.read_text(encoding="utf-8").partition("## Tables as text")[2].partition("## Columns")[0]
    evidence = made_evidence(effect=True)
    columns = {name.removesuffix("_low").removesuffix("_high") for name in evidence.summary.columns}
    for name in columns | set(evidence.bands.columns) | set(evidence.excluded.columns):
        assert re.search(rf"\b{name}\b", text), name
