"""The logger plugin: what it shows of Snakemake's events, on a terminal and without one."""

from __future__ import annotations

import io
import logging
import os
import time
from pathlib import Path

import pytest
from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.tests import MockOutputSettings, TestLogHandlerBase

from snakemake_logger_plugin_w2sg import QUIET, LogHandler
from tests.unit.command.test_state import TRACEBACK, finish, job
from w2sg.command import record, state
from w2sg.command.record import Run
from w2sg.runtime import jobs


class TestInterface(TestLogHandlerBase):
    __test__ = True

    def get_log_handler_cls(self):
        return LogHandler

    def get_log_handler_settings(self):
        return None


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(QUIET, raising=False)
    made = [job("step0", wanted=False), job("step1"), job("step2")]
    run = Run(study="mine", started=time.time() - 60, cores=2, executor="local", project="/w", jobs=made)
    Path("results/mine").mkdir(parents=True)
    return record.leave_record(Path("results/mine"), run)


def handler(*, terminal: bool) -> LogHandler:
    made = LogHandler(MockOutputSettings(), None)
    made.console = Console(file=io.StringIO(), force_terminal=terminal, width=100, record=True, highlight=False)
    made.panel = terminal
    return made


def tell(to: LogHandler, text: str = "", level: int = logging.INFO, **facts) -> None:
    one = logging.LogRecord("snakemake", level, "", 0, text, (), None)
    one.__dict__.update(facts)
    to.handle(one)


def begin(to: LogHandler, path: Path) -> None:
    tell(to, "study mine: 3 jobs, 1 of them done before", w2sg_run=str(path))
    for number in (1, 2):
        facts = {"rule_name": "extract_activations", "wildcards": {"model": "strong", "revision": f"step{number}"}}
        tell(to, event=LogEvent.JOB_INFO, jobid=number, output=[f"step{number}.parquet"], **facts)


def failing(to: LogHandler) -> None:
    Path("step2.log").write_text(TRACEBACK)
    facts = {"rule_name": "extract_activations", "log": ["step2.log"]}
    tell(to, level=logging.ERROR, event=LogEvent.JOB_ERROR, jobid=2, **facts)


def test_lines_without_a_terminal(study, monkeypatch):
    shown = handler(terminal=False)
    begin(shown, study)
    finish("step1", 30.0)
    tell(shown, event=LogEvent.JOB_FINISHED, job_id=1)
    with monkeypatch.context() as patch:
        patch.setattr(state, "status_of", None)  # none again so soon
        tell(shown, event=LogEvent.JOB_FINISHED, job_id=1)
    failing(shown)
    tell(shown, "Select jobs to execute...")
    tell(shown, "Config file /w/config/config.yaml is extended by additional config specified via the command line.")
    tell(shown, "the disk is nearly full", level=logging.WARNING)
    lines = shown.console.export_text().splitlines()
    assert lines[0] == "study mine: 3 jobs, 1 of them done before"
    assert lines[1].endswith("activations strong/step1 · 3 jobs: 2 done, 1 waiting · about 60 s left")
    assert lines.pop(2)[8:] == lines[1][8:]
    assert lines[2].startswith("failed: extract_activations strong/step2: RevisionError: model")
    assert lines[3:] == ["    step2.log", "the disk is nearly full"]


def test_the_panel_begins_where_the_study_stood_and_shows_jobs_own_lines(study):
    shown = handler(terminal=True)
    begin(shown, study)
    with jobs.log_to("step1.log") as log:
        log.write("extract strong step1: 5/10 tokens (50 %)\n")
        shown._looked = 0.0
        assert shown._live is not None
        shown._live.refresh()
        tell(shown, event=LogEvent.JOB_INFO, jobid=9, rule_name="all", output=[], wildcards={})
    assert shown._live is None
    text = shown.console.export_text()
    assert "1/3" in text
    assert "activations strong/step1  extract strong step1: 5/10 tokens (50 %)" in text


def test_a_stop_is_one_line(study):
    shown = handler(terminal=False)
    begin(shown, study)
    tell(shown, "Terminating processes on user request, this might take some time.")
    failing(shown)
    tell(shown, "RuleException:\nCalledProcessError in file", level=logging.ERROR, event=LogEvent.ERROR)
    tell(shown, "stopped: 1 of 3 jobs", level=logging.ERROR, w2sg_end=True)
    tell(shown, "WorkflowError:\nAt least one job did not complete successfully.", level=logging.ERROR)
    tell(shown, "Complete log(s): x")
    assert shown.console.export_text().splitlines()[1:] == ["stopped: 1 of 3 jobs"]


def test_a_panel_keeps_jobs_off_the_terminal(study, monkeypatch, capsys):
    monkeypatch.setenv(QUIET, "1")
    with pytest.raises(SystemExit), jobs.log_to("step1.log"):
        raise ValueError("too short")
    assert capsys.readouterr().err == ""
    assert "ValueError: too short" in Path("step1.log").read_text()
    assert QUIET == jobs.QUIET


def test_a_user_who_stops_a_job_sees_no_error(study, capsys):
    with pytest.raises(SystemExit), jobs.log_to("step1.log"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == ""


def test_a_dry_run_is_snakemakes_own_text(study):
    settings = MockOutputSettings()
    settings.dryrun = True
    shown = LogHandler(settings, None)
    assert not shown.panel
    assert QUIET not in os.environ
