"""Every file that stays is written beside its place and renamed: seen in the source, and killed at the rename."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests import faults
from w2sg.activations import features
from w2sg.pretraining import state, tokens
from w2sg.runtime.files import temporary_beside
from w2sg.tables import files

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("w2sg/**/*.py"), *ROOT.glob("workflow/scripts/*.py")])
SINKS = {
    "write_text",
    "write_bytes",
    "to_csv",
    "to_parquet",
    "to_json",
    "to_html",
    "savefig",
    "save_file",
    "save_pretrained",
    "ParquetWriter",
}
QUALIFIED = {("pq", "write_table"), ("np", "save"), ("np", "savez"), ("torch", "save"), ("json", "dump")}
NOT_KEPT = {
    "w2sg/runtime/jobs.py": "the log of a job, read while it grows",
    "w2sg/revisions/leases.py": "the lease inside a snapshot, renamed there; it goes with the snapshot",
    "w2sg/pretraining/tokenizer.py": "into a temporary folder of the caller, who reads it back",
    "w2sg/revisions/download.py": "the part of a download, continued by the next attempt and checked by its hash",
}  # fmt: skip


def sinks(node: ast.AST, temporary: frozenset[str] = frozenset()) -> Iterator[tuple[int, bool]]:
    """Line of every call that writes a file, and whether it writes to what an enclosing ``atomic_path`` yields."""
    if isinstance(node, ast.With):
        for item in node.items:
            made = ast.dump(item.context_expr)
            if ("atomic_path" in made or "TemporaryDirectory" in made) and isinstance(item.optional_vars, ast.Name):
                temporary |= {item.optional_vars.id}
    if isinstance(node, ast.FunctionDef):
        temporary |= {argument.arg for argument in node.args.args if argument.arg == "temporary"}
    if isinstance(node, ast.Call) and writes(node):
        named = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        yield node.lineno, bool(named & temporary)
    for child in ast.iter_child_nodes(node):
        yield from sinks(child, temporary)


def writes(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = call.func.value.id if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) else ""
    if name == "open":
        modes = [a.value for a in [*call.args, *(k.value for k in call.keywords)] if isinstance(a, ast.Constant)]
        return any(isinstance(mode, str) and set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes)
    if name.startswith("to_") and not call.args:
        return False  # returns the text
    return name in SINKS or (owner, name) in QUALIFIED


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_stays_is_written_through_a_temporary_file(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    direct = [line for line, atomic in sinks(tree) if not atomic]
    name = str(path.relative_to(ROOT))
    assert not direct or name in NOT_KEPT, f"{name}, lines {direct}: write inside atomic_path"


def test_the_search_finds_what_it_should():
    tree = ast.parse(
        "def f(p):\n    with atomic_path(p) as t:\n        t.write_text('')\n    p.write_text('')\n    open(p, 'w')\n    open(p)\n"
    )
    assert list(sinks(tree)) == [(3, True), (4, False), (5, False)]


def write(writer: str, path: Path, value: int) -> None:
    """Writes a file that holds the value with one of the writers."""
    schema = files.TableSchema(name="t", fields=pa.schema([pa.field("a", pa.int64(), nullable=False)]), keys=("a",))
    states, rows = np.full((1, 2, 3), value, dtype=np.float32), np.array(["a", "b"])
    tokens_of = np.ones((2, 2), dtype=np.int32)
    both = {"chosen": states, "rejected": states.copy()}
    kept = features.Features(**both, row_ids=rows, tokens=tokens_of, layers=(0,), metadata={})
    record = state.RevisionRecord(step=0, training_loss=None, files={"model.safetensors": str(value)})
    match writer:
        case "write_table":
            files.write_table(pd.DataFrame({"a": [value]}), path, schema, provenance={})
        case "write_features":
            features.write_features(path, kept, dtype="float32")
        case "write_tokens":
            tokens.write_tokens(np.array([value], dtype=np.uint16), path)
        case "write_manifest":
            state.write_manifest(path, [record], tokens_per_step=1, dtype="float32")
        case "save_state":
            state.save_state(path, state.TrainingState(digest=str(value), records=(), training={}))


WRITERS = ["write_table", "write_features", "write_tokens", "write_manifest", "save_state"]
KILLED = """
import os, sys
from pathlib import Path
from tests.repo.test_writers import WRITERS, write
os.replace = lambda *arguments: os._exit(9)
for writer in WRITERS:
    child = os.fork()
    if not child:
        write(writer, Path(sys.argv[1], writer, "file"), 2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
"""


def test_killed_between_write_and_rename_every_writer_leaves_the_old_file_and_the_next_one_cleans_up(tmp_path):
    old = {}
    for writer in WRITERS:
        path = tmp_path / writer / "file"
        path.parent.mkdir()
        write(writer, path, 1)
        old[path] = path.read_bytes()
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=True)
    for path, content in old.items():
        assert path.read_bytes() == content
        assert len(list(path.parent.glob(".*.tmp"))) == 1
        assert not temporary_beside(path).exists()
        write(path.parent.name, path, 2)
        assert path.read_bytes() != content
        assert list(path.parent.iterdir()) == [path]
    outcome = "the old file stays whole; the next writer removes the rest"
    faults.record("a writer killed between its last byte and the rename", tried=len(WRITERS), outcome=outcome, lost=0)
