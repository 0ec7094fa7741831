"""The state of a study, read from made-up files of its jobs."""

from __future__ import annotations

import io
import os
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from w2sg.command import ending, frames, record, state
from w2sg.command.record import Job, Run
from w2sg.runtime.jobs import log_to

ROOT = Path(__file__).resolve().parents[3]
TRACEBACK = """fetch strong step64: 3/9 bytes
Traceback (most recent call last):
  File "extract.py", line 1, in main
    open_revision()
w2sg.revisions.folders.RevisionError: model.safetensors is 3 bytes, expected 9
and more
"""


def job(name: str, **changes) -> Job:
    fixed = {"rule": "extract_activations", "wildcards": {"model": "strong", "revision": name}}
    return Job(**fixed | {"output": [f"{name}.parquet"], "log": f"{name}.log", "benchmark": f"{name}.tsv"} | changes)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A run that began a minute ago, of five revisions, one of which was done before."""
    monkeypatch.chdir(tmp_path)
    jobs = [job("step0", wanted=False), *(job(f"step{n}") for n in (1, 2, 3, 4))]
    made = Run(study="mine", started=time.time() - 60, cores=2, executor="local", project="/w", jobs=jobs, hours=0.5)
    folder = Path("results/mine")
    folder.mkdir(parents=True)
    return made, record.leave_record(folder, made)


def finish(name: str, seconds: float) -> None:
    Path(f"{name}.log").write_text("done\n")
    Path(f"{name}.parquet").touch()
    Path(f"{name}.tsv").write_text(f"s\th:m:s\n{seconds}\t0:00:30\n")


def midway(run: Run, path: Path) -> state.Status:
    """What is seen while one job is done, one runs and one has failed."""
    finish("step1", 30.0)
    Path("step3.log").write_text(TRACEBACK)
    with log_to("step2.log") as log:
        log.write("extract strong step2: 5/10 tokens (50 %)\n")
        return state.status_of(run, path)


def test_every_state_is_told_from_the_files_alone(study):
    run, path = study
    found = midway(run, path)
    assert found.alive
    assert found.counts == {"done": 2, "running": 1, "failed": 1, "waiting": 1}
    assert found.running == [("activations strong/step2", "extract strong step2: 5/10 tokens (50 %)")]
    (failure,) = found.failures
    assert failure.reason == "RevisionError: model.safetensors is 3 bytes, expected 9"
    assert failure.log == "step3.log"
    assert found.stages[0].seconds == 30.0
    # 1.5 jobs of 30 s are left, and half a job was at work at once: 30 of 60 s.
    assert found.left == pytest.approx(90, rel=0.05)
    assert not found.at_least


def test_failed_jobs_take_time_once_their_run_is_over(study, tmp_path):
    run, path = study
    assert midway(run, path).left == pytest.approx(90, rel=0.05)
    over = tmp_path / "over.json"  # nobody holds its lock
    over.write_bytes(path.read_bytes())
    found = state.status_of(run, over)
    assert found.counts == {"done": 2, "running": 0, "failed": 1, "waiting": 2}
    elapsed = max(Path(f"step{n}.log").stat().st_mtime for n in (1, 2, 3)) - run.started
    assert found.left == pytest.approx(3 * 30 / (30 / elapsed), rel=0.01)


def test_a_job_that_was_killed_failed_if_its_run_goes_on_and_waits_otherwise(study, tmp_path):
    run, path = study
    Path("step2.log").write_text("half a li")
    assert state.status_of(run, path).counts["failed"] == 1
    assert "killed" in state.status_of(run, path).failures[0].reason
    copy = tmp_path / "copy.json"
    copy.write_bytes(path.read_bytes())
    assert state.status_of(run, copy).counts == {"done": 1, "running": 0, "failed": 0, "waiting": 4}


@pytest.mark.parametrize("error", ["w2sg.runtime.jobs.JobTerminated: 143", "KeyboardInterrupt"])
def test_a_job_that_was_stopped_waits(study, error):
    run, path = study
    Path("step2.log").write_text(f"Traceback (most recent call last):\n  File 'x'\n{error}\n")
    assert state.status_of(run, path).counts["waiting"] == 4


def test_what_an_earlier_run_left_is_no_failure_and_no_success(study):
    run, path = study
    Path("step2.log").write_text(TRACEBACK)
    finish("step3", 30.0)
    for name in ("step2.log", "step3.log", "step3.parquet", "step3.tsv"):
        os.utime(name, (run.started - 100, run.started - 100))
    assert state.status_of(run, path).counts == {"done": 1, "running": 0, "failed": 0, "waiting": 4}


def test_a_temporary_output_counts_as_done_once_its_job_was_measured(study):
    run, path = study
    finish("step4", 10.0)
    Path("step4.parquet").unlink()
    assert state.status_of(run, path).counts["done"] == 2


def test_what_was_not_measured_makes_the_time_a_lower_bound(study):
    run, path = study
    run.jobs.append(job("late", rule="train_heads"))
    assert state.status_of(run, path).left is None
    finish("step1", 30.0)
    found = state.status_of(run, path)
    assert found.at_least
    assert ending.time_left(found).startswith("at least")


def test_every_rule_belongs_to_a_stage():
    """A rule that is in none of both is new: it joins, draws or writes, or :data:`w2sg.command.state.STAGES` lacks it."""
    joining = (
        "all show check plan verify theory plot_figures plot_groups write_report collect_audit collect_family collect_metrics "
        "collect_readings correlate summarize_sweep judge_theory check_theory plot_theory write_theory_report"
    )
    text = "\n".join(path.read_text() for path in [ROOT / "workflow" / "Snakefile", *ROOT.glob("workflow/rules/*.smk")])
    rules = {name for pair in re.findall(r"^rule (\w+):|^use rule \w+ as (\w+)", text, re.MULTILINE) for name in pair}
    assert rules - {""} == {*state.STAGES, *joining.split()}


def test_a_record_survives_its_file_and_names_a_foreign_one(study, tmp_path):
    run, path = study
    assert record.read_record(path) == run
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="is not what a run leaves"):
        record.read_record(tmp_path / "run.json")


def test_the_end_names_failures_their_logs_and_what_to_type(study):
    run, path = study
    Path("step3.log").write_text(TRACEBACK)
    text = ending.ending(path)
    assert "extract_activations strong/step3: RevisionError: model.safetensors is 3 bytes" in text
    assert "step3.log" in text
    assert "the same command goes on" in text
    assert "w2sg status --html" in text
    assert ending.beginning(run) == "study mine: 5 jobs, 1 of them done before; planned for the whole study: 30 min"


def test_the_end_names_jobs_that_were_killed_told_to_end_or_have_no_log_and_so_does_every_look_after_it(study):
    run, path = study
    run.jobs.append(job("quick", log="", benchmark=""))
    record.leave_record(path.parent, run)
    Path("step1.log").write_text("half a li")
    Path("step2.log").write_text(
        "Traceback (most recent call last):\n  File 'x'\nw2sg.runtime.jobs.JobTerminated: 143\n"
    )
    Path("step3.log").write_text("half a line of a job that the user stopped")
    text = ending.ending(path, ["step1.parquet", "step2.parquet", "quick.parquet"])
    assert text.startswith("3 jobs failed, 1 of 6 jobs of study mine are done:")
    assert "step1: it was killed" in text and "step2: it was told to end, such as at its time limit" in text
    assert "quick: it left no log; that of Snakemake says more\n    .snakemake/log" in text
    found = state.status_of(record.read_record(path), path)
    assert not found.alive and found.counts == {"done": 1, "running": 0, "failed": 3, "waiting": 2}


def test_a_run_that_was_stopped_ends_with_one_line(study):
    assert "\n" not in ending.ending(study[1])


def test_a_frame_shows_stages_progress_and_failures(study):
    run, path = study
    found = midway(run, path)
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(frames.status_frame(found))
    text = console.export_text()
    for part in ("study mine", "planned 30 min", "2/5", "5/10 tokens (50 %)", "RevisionError", "step3.log", "free"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(40, "40 s"), (720, "12 min"), (3.5 * 3600, "3.5 h"), (20 * 3600, "20 h"), (2.1 * 86400, "2.1 days")],
)
def test_lengths_of_time_have_fitting_units(seconds, words):
    assert ending.duration(seconds) == words


@pytest.mark.parametrize(("size", "words"), [(3e8, "300 MB"), (1.42e9, "1.42 GB"), (1.09e13, "10.9 TB")])
def test_sizes_have_fitting_units(size, words):
    assert ending.file_size(size) == words
