"""Checked parquet tables: declared schema, unique keys, page checksums, provenance, atomic writes."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as pq

from w2sg.runtime.files import atomic_path

pc: Any = compute  # its functions are made at import, unseen by type checkers

PROVENANCE = b"w2sg"
"""Metadata key under which a table keeps its provenance, as JSON."""

ROWS_PER_GROUP = 1 << 20
"""Rows of a parquet row group in tables that are written part by part; bounds the memory of writer and readers."""


class TableError(ValueError):
    """A table file that cannot be trusted; the message names the file and how to remake it."""


@dataclass(frozen=True, kw_only=True)
class TableSchema:
    """What a table holds."""

    name: str
    """Name used in messages and in the file metadata."""
    fields: pa.Schema
    """Columns in order; a nullable field may hold nulls, the others may hold neither nulls nor NaN."""
    keys: tuple[str, ...]
    """Columns that are unique together; rows are sorted by them."""


def write_table(
    frame: pd.DataFrame,
    path: str | os.PathLike[str],
    schema: TableSchema,
    *,
    provenance: Mapping[str, Any],
) -> None:
    """Writes a checked, sorted table atomically; equal content gives equal bytes.

    Args:
        frame: Columns as declared, in any order; the index is ignored.
        path: Parquet file to write.
        schema: Declaration to check against.
        provenance: JSON-serialisable facts (recipe, config section, revision, versions); no times, no paths.

    Raises:
        ValueError: On missing or unknown columns, values of another type, undeclared nulls, or repeated keys.
    """
    declared, found = set(schema.fields.names), set(frame.columns)
    if declared != found:
        raise ValueError(
            f"table {schema.name}: missing columns {sorted(declared - found)}, unknown columns {sorted(found - declared)}"
        )
    ordered = frame[schema.fields.names].sort_values(list(schema.keys), kind="stable", ignore_index=True)
    _check_keys(ordered, schema)
    _check_nulls(ordered, schema)
    try:
        table = pa.Table.from_pandas(ordered, schema=schema.fields, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"table {schema.name}: {error}") from error
    metadata = _metadata(schema, provenance)
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd", write_page_checksum=True)


def write_parts(
    parts: Iterable[pa.Table],
    path: str | os.PathLike[str],
    schema: TableSchema,
    *,
    provenance: Mapping[str, Any],
) -> None:
    """Writes a table of any length atomically from parts whose keys follow one another; holds one row group in memory.

    Args:
        parts: Tables with the declared columns, of any lengths; the keys of all rows, part after part, strictly increase.
        path: Parquet file to write.
        schema: Declaration to check against.
        provenance: As for :func:`write_table`.

    Raises:
        ValueError: On other columns or types, undeclared nulls, or keys that repeat or go back.
    """
    fields = schema.fields.with_metadata(_metadata(schema, provenance))
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, fields, compression="zstd", write_page_checksum=True) as writer,
    ):
        for group in _regroup(_checked_parts(parts, schema), schema):
            writer.write_table(group.replace_schema_metadata(fields.metadata), row_group_size=ROWS_PER_GROUP)


def _checked_parts(parts: Iterable[pa.Table], schema: TableSchema) -> Iterator[pa.Table]:
    last = None
    for part in parts:
        try:
            table = part.select(schema.fields.names).cast(schema.fields)
        except (pa.ArrowException, KeyError, ValueError) as error:
            raise ValueError(f"table {schema.name}: {error}") from error
        for field in schema.fields:
            if not field.nullable and _count_undefined(table[field.name]):
                raise ValueError(f"table {schema.name}: column {field.name} holds null or NaN values")
        if not len(table):
            continue
        joined = pa.concat_tables([last, table]) if last is not None else table
        if not keys_increase(joined, schema.keys):
            raise ValueError(
                f"table {schema.name}: rows are not in the order of their keys, or a key occurs more than once"
            )
        last = table.slice(len(table) - 1)
        yield table


def _regroup(parts: Iterable[pa.Table], schema: TableSchema) -> Iterator[pa.Table]:
    """Yields the rows of all parts in tables of ``ROWS_PER_GROUP`` rows, so that equal rows give equal bytes."""
    waiting, rows = [schema.fields.empty_table()], 0
    for part in parts:
        waiting.append(part)
        rows += len(part)
        while rows >= ROWS_PER_GROUP:
            table = pa.concat_tables(waiting)
            yield table.slice(0, ROWS_PER_GROUP).combine_chunks()
            waiting = [table.slice(ROWS_PER_GROUP)]
            rows -= ROWS_PER_GROUP
    yield pa.concat_tables(waiting).combine_chunks()


def keys_increase(table: pa.Table, keys: Iterable[str]) -> bool:
    """Returns whether the rows are strictly sorted by ``keys``: then no key occurs twice."""
    rows = max(len(table) - 1, 0)
    later, equal = pa.scalar(False), pa.scalar(True)
    for key in keys:
        column = table[key].combine_chunks()
        before, after = column.slice(0, rows), column.slice(1)
        later = pc.or_(later, pc.and_(equal, pc.less(before, after)))
        equal = pc.and_(equal, pc.equal(before, after))
    return rows == 0 or bool(pc.all(later).as_py())


def _count_undefined(column: pa.ChunkedArray) -> int:
    nan = pc.sum(pc.is_nan(column)).as_py() or 0 if pa.types.is_floating(column.type) else 0
    return column.null_count + nan


def read_parts(path: str | os.PathLike[str], schema: TableSchema) -> Iterator[pa.Table]:
    """Yields the row groups of a table, one at a time; checks what :func:`read_table` checks, except unique keys.

    Raises:
        TableError: As :func:`read_table`.
    """
    with _trusted(path, schema), pq.ParquetFile(path, page_checksum_verification=True) as file:
        _check_columns(path, file.schema_arrow, schema)
        for group in range(file.num_row_groups):
            yield file.read_row_group(group).replace_schema_metadata(None)


@contextlib.contextmanager
def _trusted(path: str | os.PathLike[str], schema: TableSchema) -> Iterator[None]:
    """Turns the errors of reading a file into ones that name it and say what to do."""
    try:
        yield
    except FileNotFoundError:
        raise TableError(f"{path}: no such file; run snakemake to make it (table {schema.name})") from None
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path}: not a whole parquet file ({error}); {_remake(schema)}") from error


def _remake(schema: TableSchema) -> str:
    return f"delete it and run snakemake again to remake it (table {schema.name})"


def _check_columns(path: str | os.PathLike[str], found: pa.Schema, schema: TableSchema) -> None:
    if not found.equals(schema.fields, check_metadata=False):
        wrong = sorted(set(map(str, found)) ^ set(map(str, schema.fields)))
        raise TableError(f"{path}: other columns than table {schema.name} declares: {wrong}; {_remake(schema)}")


def read_table(path: str | os.PathLike[str], schema: TableSchema, *, where: Any = None) -> pd.DataFrame:
    """Returns the rows of a table whose checksums and schema were verified.

    Args:
        path: Parquet file written by :func:`write_table`.
        schema: What the caller expects.
        where: Arrow expression that the returned rows fulfil; the others are never held as a frame.

    Raises:
        TableError: If the file is missing, cut, corrupt, or holds another schema.
    """
    with _trusted(path, schema):
        table = pq.read_table(path, filters=where, page_checksum_verification=True)
    _check_columns(path, table.schema, schema)
    frame = table.to_pandas()
    if not keys_increase(table, schema.keys):
        _check_keys(frame, schema)
    return frame


def read_provenance(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns what :func:`write_table` stored about a file's origin; empty for foreign parquet files."""
    metadata = pq.read_metadata(Path(path)).metadata or {}
    return json.loads(metadata.get(PROVENANCE, b"{}"))


def _metadata(schema: TableSchema, provenance: Mapping[str, Any]) -> dict[bytes, bytes]:
    return {PROVENANCE: json.dumps({"table": schema.name, **provenance}, sort_keys=True).encode()}


def _check_keys(frame: pd.DataFrame, schema: TableSchema) -> None:
    repeated = frame.duplicated(subset=list(schema.keys), keep=False)
    if repeated.any():
        row = frame.loc[repeated, list(schema.keys)].iloc[0].to_dict()
        raise ValueError(f"table {schema.name}: key {row} occurs more than once")


def _check_nulls(frame: pd.DataFrame, schema: TableSchema) -> None:
    for field in schema.fields:
        nulls = 0 if field.nullable else int(frame[field.name].isna().sum())
        if nulls:
            raise ValueError(f"table {schema.name}: column {field.name} holds {nulls} null or NaN values")
