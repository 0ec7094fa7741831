"""A sweep that did not finish, or failed in part, is reported on as far as it went; finishing it repeats nothing."""

from __future__ import annotations

import copy
import re
import shutil

from tests.dag.conftest import Workflow, unstarted
from tests.dag.test_smoke import planned
from w2sg.tables import schemas
from w2sg.tables.files import read_table

REMADE = "train_heads|collect_|summarize|correlate|plot_|write_"


def test_a_partial_sweep_says_what_is_missing_and_is_finished_without_repetition(finished, tmp_path):
    workflow = Workflow(folder=tmp_path / "run", config=copy.deepcopy(finished.config))
    shutil.copytree(finished.folder, workflow.folder)
    metrics, kept = (folder / "results" / "smoke" / "metrics" for folder in (workflow.folder, finished.folder))
    shutil.rmtree(metrics / "olmo")
    lost = [metrics / "smoke" / "step8" / "mine.parquet", *metrics.glob("smoke/*/posts.parquet")]
    for path in lost:
        path.unlink()
    text = workflow.run("--config", "partial=true")
    assert not re.search(r"^(?:local)?rule (?!all|" + REMADE.replace("train_heads|", "") + ")", text, re.MULTILINE)

    table = read_table(workflow.folder / "results/smoke/tables/metrics.parquet", schemas.METRICS)
    heads = table[table["head"] == "w2s"]
    whole = read_table(finished.folder / "results/smoke/tables/metrics.parquet", schemas.METRICS)
    assert set(heads["family"]) == {"smoke"}
    assert set(heads["dataset"]) == {"mine"}
    left = whole.merge(table[list(schemas.METRICS.keys)], on=list(schemas.METRICS.keys))
    assert left.equals(table)
    wanted = read_table(workflow.folder / "results/smoke/tables/completeness.parquet", schemas.COMPLETENESS)
    missing = wanted[~wanted["measured"]].groupby(["family", "dataset"]).size().to_dict()
    assert missing == {
        ("olmo", "mine"): 2, ("olmo", "posts"): 2, ("smoke", "mine"): 1, ("smoke", "posts"): 3
    }  # fmt: skip

    page = (workflow.folder / "results/smoke/report.html").read_text()
    text = (workflow.folder / "results/smoke/tables/summary.txt").read_text()
    for sentence in ("olmo: nothing was measured (2 revisions wanted)", "smoke on posts: nothing was measured"):
        assert sentence in page
        assert f"missing: {sentence}" in text
    assert text.startswith("missing: ")
    assert page.index("This report is partial") < page.index('id="answer"')
    assert re.search("smoke on mine: 1 of [0-9]+ revisions are missing: step8", page)
    assert "This report is partial" not in (finished.folder / "results/smoke/report.html").read_text()

    jobs = planned(workflow)
    assert jobs["train_heads"] == 4 + len(lost)
    assert not {job for job in jobs if not re.match(f"all|{REMADE}", job)}
    shutil.copytree(kept, metrics, dirs_exist_ok=True)  # as the heads would be made again
    workflow.run("--", "results/smoke/tables/summary.txt")
    before, after = (
        {name: text for name, text in one.tables().items() if "/tables/" in name} for one in (finished, workflow)
    )
    assert after == before


def test_a_partial_report_on_nothing_is_refused(finished, tmp_path):
    workflow = unstarted(finished, tmp_path)
    workflow.config["partial"] = True
    assert "no table of this study is there yet" in workflow.run("-n", check=False)
