"""Every file says where it comes from, and without Snakemake's records no old result is taken for a new one."""

from __future__ import annotations

import copy
import json
import re
import shutil

import pytest

from tests.dag.conftest import Workflow
from tests.dag.test_smoke import planned
from w2sg.tables.origins import read_origin


@pytest.fixture
def workflow(finished, tmp_path) -> Workflow:
    """A copy of the finished study, time stamps kept, without Snakemake's records."""
    shutil.copytree(finished.folder, tmp_path / "run", ignore=shutil.ignore_patterns(".snakemake"))
    return Workflow(folder=tmp_path / "run", config=copy.deepcopy(finished.config))


def named(text: str) -> dict[str, set[str]]:
    """Returns the keys that a refusal names, by file."""
    found: dict[str, set[str]] = {}
    for path, key in re.findall(r"^ *((?:results|resources)/\S+): (\S+) is .*, wanted ", text, flags=re.M):
        found.setdefault(path, set()).add(key)
    return found


def test_every_file_of_a_study_says_what_made_it(finished):
    folder = finished.folder / "results" / "smoke"
    kinds = (".parquet", ".svg", ".pdf", ".png", ".html")
    joined = [
        p
        for p in folder.glob("*/**/*")
        if p.suffix in kinds and p.relative_to(folder).parts[0] in ("tables", "figures")
    ]
    assert len(joined) > 80
    for path in [*joined, folder / "report.html", folder / "tables" / "summary.json"]:
        origin = read_origin(path)
        assert origin["study"] == json.loads(origin["config"])["study"] == "smoke", path
        assert set(origin["versions"]["extract_activations"]) >= {"torch", "transformers", "tokenizers", "numpy"}, path
        assert re.match(r"[0-9a-f]{64}", origin["config_sha256"]) and re.match(r"[0-9a-f]{40}|unknown", origin["code"])
    for path in [*finished.folder.glob("results/activations/**/*.*"), *folder.glob("metrics/**/*.parquet")]:
        assert {"torch", "transformers"} <= set(read_origin(path)["versions"]["extract_activations"]), path


def test_without_records_verify_names_every_file_that_other_settings_made_and_the_joining_step_refuses(workflow):
    assert "files were made with this configuration" in workflow.run("--", "verify")
    workflow.config["heads"]["converged"]["penalties"] = [0.1, 1.0]
    workflow.config["statistics"] = {"late": 0.5}
    assert planned(workflow) == {}  # to Snakemake all is well: the files are there, none is older than its inputs
    wrong = named(workflow.run("--", "verify", check=False))
    penalties, late = "heads.converged.penalties", "statistics.late"
    assert wrong["results/smoke/metrics/olmo/step8/mine.parquet"] == {penalties}
    assert wrong["results/smoke/tables/families/olmo.parquet"] == {penalties}
    assert wrong["results/smoke/figures/layers/olmo/mine.png"] == {penalties, late}
    assert wrong["results/smoke/tables/transitions.parquet"] == wrong["results/smoke/report.html"] == {penalties, late}
    assert not any(path.startswith(("resources", "results/activations")) for path in wrong)
    (workflow.folder / "results/smoke/tables/families/olmo.parquet").unlink()
    refused = workflow.run("--", "results/smoke/tables/families/olmo.parquet", check=False)
    assert set(named(refused)) == {
        f"results/smoke/metrics/olmo/{step}/{name}.parquet" for step in ("step0", "step8") for name in ("mine", "posts")
    } | {"results/smoke/weak_metrics/small/main/mine.parquet", "results/smoke/weak_metrics/small/main/posts.parquet"}
    assert "wanted [0.1, 1.0]" in refused and "delete the files" in refused
    assert not (workflow.folder / "results/smoke/tables/families/olmo.parquet").exists()
