from pathlib import Path

import pyarrow as pa
import pytest

import w2sg
from w2sg.tables.column_meanings import MEANINGS, meaning
from w2sg.tables.files import TableSchema
from w2sg.tables.reference import MODULES, column_type, columns_table, declared_tables

TABLES = list(declared_tables().values())
ODD = TableSchema(
    name="odd",
    fields=pa.schema([pa.field("seed", pa.int64(), nullable=False), pa.field("unheard_of", pa.float64())]),
    keys=("seed",),
)


@pytest.mark.parametrize("schema", TABLES, ids=lambda schema: schema.name)
def test_every_column_of_every_table_has_a_meaning_and_a_type(schema):
    text = columns_table(schema)
    for name in schema.fields.names:
        assert meaning(schema, name)
        assert f"| {name} | {column_type(schema, name)} |" in text
    rows = text.splitlines()[2:]
    assert len(rows) == 2 + len(schema.fields)
    assert all(row.count("|") == 4 for row in rows)


def test_all_modules_that_declare_tables_are_known():
    known = {Path(module.__file__ or "") for module in MODULES}
    declaring = {path for path in Path(w2sg.__file__).parent.rglob("*.py") if " = TableSchema(" in path.read_text()}
    assert declaring == known
    names = [schema.name for schema in TABLES]
    assert len(names) == len(set(names))
    assert {"pairs", "documents", "metrics", "audit", "figure", "theory_runs", "theory_radii"} <= set(names)


def test_no_meaning_is_left_over_from_a_column_that_is_gone():
    columns = {name for schema in TABLES for name in schema.fields.names}
    columns |= {f"{schema.name}.{name}" for schema in TABLES for name in schema.fields.names}
    assert set(MEANINGS) <= columns


def test_a_meaning_of_one_table_comes_first_and_a_missing_one_is_named():
    by_name = {schema.name: schema for schema in TABLES}
    assert meaning(by_name["theory_runs"], "seed") != meaning(by_name["metrics"], "seed") == meaning(ODD, "seed")
    assert meaning(by_name["figure"], "x_low").startswith("lower end of the interval of `x`")
    with pytest.raises(KeyError, match="unheard_of of table odd"):
        columns_table(ODD)
