"""The paper's study on paper: exact job counts, no network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests import tiny
from tests.dag.conftest import ROOT, Workflow
from tests.doc_blocks import blocks_of
from w2sg.study.families import resolve_family


@pytest.fixture
def paper(tmp_path, monkeypatch) -> Workflow:
    """The paper's study where no connection can be made."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    return Workflow(folder=tmp_path, config=yaml.safe_load((ROOT / "config" / "paper.yaml").read_text()))


def counts(text: str) -> dict[str, int]:
    stats = text.split("Job stats:")[-1].split("Reasons:")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", stats, flags=re.M)}


def test_the_papers_families_have_154_and_317_revisions(paper):
    config = yaml.safe_load((ROOT / "config" / "models.yaml").read_text())
    found = {name: resolve_family(name, config, ROOT) for name in paper.config["sweep"]["families"]}
    assert {name: len(family.revisions) for name, family in found.items()} == {"pythia-6.9b": 154, "olmo-7b": 317}
    assert found["pythia-6.9b"].supervisor.name == "pythia-1b"
    assert found["olmo-7b"].revisions[-1].name == "step557000-tokens2464B"


@pytest.mark.parametrize(("mode", "fetches"), [("fused", 0), ("split", 473)])
def test_the_dry_run_counts_every_job(paper, mode, fetches):
    paper.config["fetch"] = {"mode": mode}
    planned = counts(paper.run("-n", "-q", "rules"))
    assert planned["extract_activations"] == 154 + 317 + 2
    assert planned["train_heads"] == 2 * (154 + 317)
    assert planned.get("fetch_revision", 0) == fetches
    assert planned["train_supervisor"] == planned["audit_revisions"] == 4
    assert planned["total"] == sum(planned.values()) - planned["total"] == 1441 + fetches
    assert "| 154 + 317 | 1,441 |" in (ROOT / "README.md").read_text()
    assert [path.name for path in paper.folder.iterdir() if path.name not in (".snakemake", "study.yaml")] == []


def test_another_workflow_plans_the_same_jobs_with_this_one_as_a_module(paper):
    other = paper.folder / "Snakefile"
    other.write_text(f'module w2sg:\n    snakefile: "{ROOT / "workflow" / "Snakefile"}"\n\n\nuse rule * from w2sg\n')
    planned = counts(paper.run("-n", "-q", "rules", "--snakefile", str(other)))
    assert planned["total"] == 1441


def test_the_plan_says_what_it_costs_and_what_that_rests_on(paper):
    paper.config["fetch"] = {"mode": "split"}
    text = paper.run("-q", "all", "--", "plan")
    assert re.search(r"pythia-6.9b\s+154\s+617\s+2.11", text)
    assert re.search(r"olmo-7b\s+317\s+1,269", text)
    assert "extract_activations 473, train_supervisor 4, train_heads 942, audit_revisions 4, fetch_revision 473" in text
    assert re.search(r"peak on the scratch disk: 82.7 GB \(3 snapshots", text)
    assert "assumed: float32 files" in text
    made = {str(path.relative_to(paper.folder)) for path in Path(paper.folder).glob("results/**/*") if path.is_file()}
    assert made == {"results/paper/plan.tsv"}
    benchmark = paper.folder / "benchmarks/runs/extract_activations/pythia-6.9b/step512.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\th:m:s\n36000.0\t10:00:00\n")
    assert paper.run("-q", "all", "--", "plan") != text  # what was measured since counts


def test_every_shipped_family_can_be_planned(paper):
    config = yaml.safe_load((ROOT / "config" / "models.yaml").read_text())
    names = [
        name for name, family in config["families"].items() if config["models"][family["strong"]]["source"] == "hub"
    ]
    assert len(names) > 25
    paper.config["sweep"]["families"] = names
    text = paper.run("-q", "all", "--", "plan")
    assert "without a cost here" not in text
    assert re.search(r"olmo2-1b\s+1\s", text)
    assert re.search(r"the list of olmo2-7b lacks revisions between steps .* and in \d+ more places", text)


def documented(name: str) -> dict:
    """The example of the page on new families that is to be saved under this name."""
    (code,) = [b.code for b in blocks_of(ROOT / "docs" / "new_family.md") if b.marker == f"file={name}"]
    return yaml.safe_load(code)


def test_the_documented_checkpoints_in_a_folder_plan_as_the_text_says(paper):
    """A Trainer's output folder as it is, and a folder with one model; a model of another name is named."""
    tiny.save_revisions(paper.folder / "my-run", "llama", [500, 1000, 1500, 2000])
    for step in (500, 1000, 1500):
        (paper.folder / "my-run" / f"step{step}").rename(paper.folder / "my-run" / f"checkpoint-{step}")
    (paper.folder / "my-run" / "step2000").rename(paper.folder / "my-small")
    (paper.folder / "my-run" / "runs" / "Nov29").mkdir(parents=True)
    pairs = "".join(f'"What is {n}, and why?",good {n},bad {n}\n' for n in range(30))
    (paper.folder / "my-pairs.csv").write_text(f"prompt,chosen,rejected\n{pairs}")
    (paper.folder / "my-text.txt").write_text("A document.\n\n" * 100)
    study = Workflow(folder=paper.folder, config=documented("trained.yaml"))
    planned = counts(study.run("-n", "-q", "rules"))
    assert planned["extract_activations"] == 1 + 3 + 1  # a random twin stands for step 0
    assert planned["train_heads"] == 1 + 3
    (paper.folder / "my-run" / "final").mkdir()
    assert "1 of 4 folders in my-run have names that say no step: final" in study.run("-n", check=False)
    tiny.save_revisions(paper.folder / "my-run" / "final", "llama", [1])
    (paper.folder / "my-run" / "final" / "step1").rename(paper.folder / "my-run" / "last")
    rows = "".join(f"checkpoint-{step}\t{step}\t{step}\n" for step in (500, 1000, 1500))
    listed = paper.folder / "list.tsv"
    listed.write_text(f"revision\tstep\ttokens_billion\n{rows}")
    study.config["models"]["my-run"] = {"source": "local", "path": "my-run", "revisions": str(listed)}
    assert "models.my-run: folders with a model that its list does not name (1): last" in study.run("-n")


def test_the_documented_family_and_dataset_plan_as_the_text_says(paper):
    blocks = blocks_of(ROOT / "docs" / "new_family.md")
    (listed,) = [block.code for block in blocks if block.language == "tsv"]
    path = paper.folder.parent / f"{paper.folder.name}-my-1b.tsv"
    path.write_text(listed)
    config = documented("mine.yaml") | documented("my_pairs.yaml")
    config["models"]["my-1b"]["revisions"] = str(path)
    family = resolve_family("my-1b", config, ROOT)
    assert [revision.step for revision in family.revisions] == [0, 1000, 2000, 10000]
    planned = counts(Workflow(folder=paper.folder, config=config).run("-n", "-q", "rules"))
    assert planned["extract_activations"] == 4 + 1
    assert planned["train_heads"] == 4


def test_pairs_of_files_are_counted_where_the_entry_does_not_say_how_many(paper):
    row = {"prompt": "", "chosen": "a", "rejected": "b"}
    (paper.folder / "pairs.jsonl").write_text((json.dumps(row) + "\n") * 24)
    paper.config["datasets"] = {"mine": {"source": "files", "file": "pairs.jsonl", "split": {"seed": 0}}}
    paper.config["sweep"]["datasets"] = ["mine"]
    assert counts(paper.run("-n", "-q", "rules"))["train_heads"] == 154 + 317
    text = paper.run("-q", "all", "--", "plan")
    assert "unknown without" not in text
    assert re.search(r"pythia-6.9b\s+154\s+309\s+2.11 TB\s+13.7 GB\s+\d+ min\s+[\d.]+\s+[\d.]+\s+[\d.]+ MB", text)


def test_the_study_of_seeds_trains_the_supervisor_once(paper):
    paper.config.clear()
    paper.config.update(yaml.safe_load((ROOT / "config" / "nano_seeds.yaml").read_text()))
    planned = counts(paper.run("-n", "-q", "rules"))
    assert planned["pretrain_family"] == 3 + 1
    assert planned["extract_activations"] == 3 * 19 + 1
    assert planned["train_heads"] == 3 * 19 * 2
    assert planned["train_supervisor"] == planned["fetch_pairs"] == 2


@pytest.mark.parametrize(
    ("name", "revisions", "jobs", "gigabytes"),
    [
        ("pythia_70m", 24, "extract_activations 25, train_supervisor 1, train_heads 24, audit_revisions 2", 3.4),
        ("polypythias_14m", 9 * 24, "extract_activations 217, train_supervisor 1, train_heads 216, audit_revisions 10", 6.1),
        ("datadecide_20m", 12 * 13, "extract_activations 157, train_supervisor 1, train_heads 156, audit_revisions 13", 18.0),
    ],
)  # fmt: skip
def test_the_laptop_studies_are_small(paper, name, revisions, jobs, gigabytes):
    """One of real revisions, one of their seeds, one of their corpora: below 20 GB of downloads."""
    paper.config.clear()
    paper.config.update(yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()))
    text = paper.run("-q", "all", "--", "plan")
    assert f"{jobs}, and a few per study" in text
    assert "without a cost here" not in text and "lacks revisions" not in text
    total = re.search(r"^ *total +([0-9,]+) +[0-9,]+ +([0-9.]+) GB", text, flags=re.M)
    assert total and int(total[1]) == revisions + 1
    assert float(total[2]) == pytest.approx(gigabytes, abs=0.1) and gigabytes < 20
    assert re.search(r"peak on the scratch disk: [0-9.]+ MB", text)
    planned = counts(paper.run("-n", "-q", "rules"))
    assert planned["train_heads"] == revisions and planned["fetch_pairs"] == 1
