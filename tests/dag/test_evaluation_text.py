"""The evaluation loss on a text of the user's own: which jobs it takes, what the table says, and what makes it stale."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests import tiny
from tests.dag.test_smoke import planned
from tests.dag.test_stale import REVISIONS, costly
from w2sg.tables import schemas
from w2sg.tables.files import read_table

LOSS = "results/activations/olmo/step0/loss.parquet"
TEXT = "resources/corpora/plain.parquet"


def write(path: Path, first: str) -> None:
    words = [first, *tiny.WORDS]
    rows = [{"body": " ".join(words[start : start + 12])} for start in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_an_evaluation_text_of_the_users_own(workflow):
    file = workflow.folder / "inputs" / "plain.jsonl"
    workflow.config["corpora"]["plain"] = {"source": "file", "path": "inputs/plain.jsonl", "field": "body"}
    workflow.config["evaluation"] = {"corpus": "plain", "documents": 3}
    missing = workflow.run("-n", check=False)
    assert "study.yaml, line" in missing
    assert "corpora.plain: no file inputs/plain.jsonl" in missing
    write(file, "first")
    jobs = planned(workflow)
    assert (jobs["fetch_corpus"], jobs["extract_activations"]) == (1, REVISIONS)
    assert "pretrain_family" not in jobs
    workflow.run("--", LOSS)
    table = read_table(workflow.folder / LOSS, schemas.RESULTS)
    assert set(table["dataset"]) == {"plain"}
    assert set(table["metric"]) == {"nats_per_token", "bits_per_byte"}
    assert len(read_table(workflow.folder / TEXT, schemas.DOCUMENTS)) == 4
    wrong = workflow.run("--", "verify", check=False)  # the other revisions were measured on another text
    assert "olmo/step8/loss.parquet: evaluation.corpus is" in wrong
    assert LOSS not in wrong
    assert TEXT not in wrong
    os.utime(file)
    assert planned(workflow, "--", LOSS) == {}
    write(file, "second")
    assert costly(planned(workflow, "--", LOSS)) == {"extract_activations": 1}
    assert f"{TEXT}: corpora.plain.content is" in workflow.run("--", "verify", check=False)
