"""A sweep that did not finish, or failed in part, is reported on as far as it went; finishing it repeats nothing."""

from __future__ import annotations

import copy
import re
import shutil

from tests.dag.conftest import Workflow
from w2sg.tables import schemas
from w2sg.tables.files import read_table

REMADE = "train_heads|collect_|summarize|correlate|estimate|plot_|check_|write_"


def test_a_partial_sweep_says_what_is_missing_and_is_finished_without_repetition(finished, tmp_path):
    workflow = Workflow(folder=tmp_path / "run", config=copy.deepcopy(finished.config))
    shutil.copytree(finished.folder, workflow.folder)
    metrics = workflow.folder / "results" / "smoke" / "metrics"
    shutil.rmtree(metrics / "llama")
    shutil.rmtree(metrics / "smoke" / "step8")
    for path in (metrics / "olmo").glob("*/posts.parquet"):
        path.unlink()
    text = workflow.run("--config", "partial=true")
    assert not re.search(r"^(?:local)?rule (?!all|" + REMADE.replace("train_heads|", "") + ")", text, re.MULTILINE)

    table = read_table(workflow.folder / "results/smoke/tables/metrics.parquet", schemas.METRICS)
    heads = table[table["head"] == "w2s"]
    whole = read_table(finished.folder / "results/smoke/tables/metrics.parquet", schemas.METRICS)
    assert set(heads["family"]) == {"smoke", "olmo"}
    assert set(heads.loc[heads["family"] == "olmo", "dataset"]) == {"mine"}
    left = whole.merge(table[list(schemas.METRICS.keys)], on=list(schemas.METRICS.keys))
    assert left.equals(table)
    wanted = read_table(workflow.folder / "results/smoke/tables/completeness.parquet", schemas.COMPLETENESS)
    missing = wanted[~wanted["measured"]].groupby(["family", "dataset"]).size().to_dict()
    assert missing == {
        ("llama", "mine"): 2, ("llama", "posts"): 2, ("olmo", "posts"): 2, ("smoke", "mine"): 1, ("smoke", "posts"): 1
    }  # fmt: skip

    page = (workflow.folder / "results/smoke/report.html").read_text()
    text = (workflow.folder / "results/smoke/tables/summary.txt").read_text()
    for sentence in ("llama: nothing was measured (2 revisions wanted)", "olmo on posts: nothing was measured"):
        assert sentence in page
        assert f"missing: {sentence}" in text
    assert text.startswith("missing: ")
    assert page.index("This report is partial") < page.index('id="answer"')
    assert re.search("smoke on mine: 1 of [0-9]+ revisions are missing: step8", page)
    assert "This report is partial" not in (finished.folder / "results/smoke/report.html").read_text()

    text = workflow.run()
    jobs = re.findall(r"^(?:local)?rule (\w+):", text, re.MULTILINE)
    assert jobs.count("train_heads") == 8
    assert not {job for job in jobs if not re.match(f"all|{REMADE}", job)}
    assert workflow.tables() == finished.tables()


def test_a_partial_report_on_nothing_is_refused(finished, tmp_path):
    workflow = Workflow(folder=tmp_path, config=finished.config | {"partial": True})
    assert "no table of this study is there yet" in workflow.run("-n", check=False)
