from pathlib import Path

import pytest

import w2sg
from w2sg.study.protocols import FIELDS
from w2sg.tables.reference import MODULES, columns_table, declared_tables
from w2sg.tables.schemas import PAIRS

TABLES = list(declared_tables().values())


@pytest.mark.parametrize("schema", TABLES, ids=lambda schema: schema.name)
def test_every_column_of_every_table_has_a_meaning_and_a_type(schema):
    rows = columns_table(schema).splitlines()[4:]
    assert len(rows) == len(schema.fields)
    for row, field in zip(rows, schema.fields, strict=True):
        name, kind, meaning = (cell.strip() for cell in row.split("|")[1:-1])
        assert name == field.name
        assert kind.split(" or ")[0] in ("string", "int", "float", "bool")
        assert kind.endswith("or null") == field.nullable
        assert len(meaning) > 1


def test_all_modules_that_declare_tables_are_known():
    known = {Path(module.__file__ or "") for module in MODULES}
    declaring = {path for path in Path(w2sg.__file__).parent.rglob("*.py") if " = declare(" in path.read_text()}
    assert declaring == known
    names = [schema.name for schema in TABLES]
    assert len(names) == len(set(names))
    assert {"pairs", "documents", "metrics", "audit", "figure", "theory_runs", "theory_radii"} <= set(names)


def test_keys_are_columns_and_pairs_hold_the_texts_of_a_pair():
    assert all(set(schema.keys) <= set(schema.fields.names) for schema in TABLES)
    assert set(FIELDS) <= set(PAIRS.fields.names)
