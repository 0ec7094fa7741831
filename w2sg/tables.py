"""Checked parquet tables: declared schema, unique keys, page checksums, provenance, atomic writes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from w2sg.runtime import atomic_path

PROVENANCE = b"w2sg"
"""Metadata key under which a table keeps its provenance, as JSON."""


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
    metadata = {PROVENANCE: json.dumps({"table": schema.name, **provenance}, sort_keys=True).encode()}
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd", write_page_checksum=True)


def read_table(path: str | os.PathLike[str], schema: TableSchema) -> pd.DataFrame:
    """Returns the rows of a table whose checksums and schema were verified.

    Args:
        path: Parquet file written by :func:`write_table`.
        schema: What the caller expects.

    Raises:
        TableError: If the file is missing, cut, corrupt, or holds another schema.
    """
    remake = f"delete it and run snakemake again to remake it (table {schema.name})"
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise TableError(f"{path}: no such file; run snakemake to make it (table {schema.name})") from None
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path}: not a whole parquet file ({error}); {remake}") from error
    if not table.schema.equals(schema.fields, check_metadata=False):
        wrong = sorted(set(map(str, table.schema)) ^ set(map(str, schema.fields)))
        raise TableError(f"{path}: other columns than table {schema.name} declares: {wrong}; {remake}")
    frame = table.to_pandas()
    _check_keys(frame, schema)
    return frame


def read_provenance(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns what :func:`write_table` stored about a file's origin; empty for foreign parquet files."""
    metadata = pq.read_metadata(Path(path)).metadata or {}
    return json.loads(metadata.get(PROVENANCE, b"{}"))


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
