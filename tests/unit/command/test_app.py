"""The command as a user types it, with Snakemake put out of the way."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from typer.testing import CliRunner

from tests import tiny
from w2sg.command import app as command
from w2sg.command import places, record, state
from w2sg.command.__main__ import launch
from w2sg.command.partial import newest_summary
from w2sg.study.rounds import LEFT

ROOT = Path(__file__).resolve().parents[3]
SUBCOMMANDS = ("init", "check", "plan", "run", "status", "show", "report", "revisions", "verify", "export")


def call(*words: str, status: int = 0):
    found = CliRunner().invoke(command.app, [str(word) for word in words])
    assert found.exit_code == status, found.output
    return found


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_explains_itself_and_has_json(name):
    text = call(name, "--help").output
    assert "--json" in text


def test_without_the_extra_the_command_names_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "w2sg.command.app")
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit, match=r"w2sg needs typer, .*pip install 'w2sg\[run\]'"):
        launch()


def test_a_folder_without_the_workflow_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(command.app, ["plan", "--directory", str(tmp_path)])
    assert isinstance(found.exception, places.CommandError)
    assert f"{tmp_path} is not a folder of the w2sg workflow" in str(found.exception)
    assert "--directory" in str(found.exception)


def test_elsewhere_the_installed_workflow_works_in_the_present_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = places.asked(None, ["-n"])
    assert given.project == ROOT  # that of the wheel, where one is installed
    assert (given.words, given.folder) == (["-n", "--directory", str(tmp_path)], tmp_path)
    assert places.asked(None, ["--directory", "other"]).words == ["--directory", "other"]


def test_words_are_sorted_into_files_and_what_snakemake_takes(tmp_path):
    (tmp_path / "mine.yaml").write_text("study: mine\n")
    given = places.asked(ROOT, ["--configfile", str(tmp_path / "mine.yaml"), "-n", "--config", "partial=true"])
    assert given.files == [tmp_path / "mine.yaml"]
    assert given.words == ["-n", "--config", "partial=true"]
    assert given.study == "mine"
    assert places.asked(ROOT, ["--config", "study=other"]).study == "other"
    made = given.command("show", cores=2, profile="slurm")
    assert made[1:4] == ["-m", "snakemake", "show"]
    assert str(ROOT / "profiles" / "slurm") in made
    assert made[-2:] == ["--configfile", str(tmp_path / "mine.yaml")]


def test_a_file_that_is_not_there_is_named_with_each_folder_once(tmp_path, monkeypatch):
    for here, folders in ((tmp_path, f"{tmp_path} or {ROOT}"), (ROOT, f"{ROOT}")):
        monkeypatch.chdir(here)
        with pytest.raises(places.CommandError, match=rf"no configuration file no\.yaml; .* relative to {folders}$"):
            places.asked(ROOT, ["no.yaml"])


@pytest.mark.parametrize(
    ("words", "likely"),
    [("second", "second.yaml"), ("third", "third.yaml"), ("nano_early -n", "config/nano_early.yaml")],
)
def test_the_name_of_a_study_is_no_file(tmp_path, monkeypatch, words, likely):
    monkeypatch.chdir(tmp_path)
    Path("second.yaml").write_text("study: second\n")
    name = words.split()[0]
    with pytest.raises(places.CommandError) as caught:
        places.asked(ROOT, words.split())
    assert str(caught.value) == f"no file {name}; expected a study's configuration, such as {likely}, or a rule"


@pytest.mark.parametrize(
    "words",
    ["plan", "verify theory", "train_chain -n", "--config partial=true", "partial=true", "results/a", "--until second"],
)
def test_targets_and_options_go_through(words):
    assert places.asked(ROOT, words.split()).words == words.split()


@pytest.fixture
def calls(monkeypatch):
    """What Snakemake is called with, which ends as ``status`` says and leaves word of a further round ``rounds`` times."""
    made = SimpleNamespace(words=[], status=0, rounds=0)

    def called(words, folder, variables, *, shown):
        made.words.append(words)
        if len(made.words) <= made.rounds:
            Path(variables[LEFT]).write_text("nano")
        return made.status

    monkeypatch.setattr(places, "_call", called)
    monkeypatch.chdir(ROOT)
    return made


def test_run_becomes_snakemake(calls):
    call("run", "config/nano_early.yaml", "--cores", "3", "--until", "train_heads")
    (words,) = calls.words
    assert words[words.index("--cores") + 1] == "3"
    assert words[-4:] == ["--until", "train_heads", "--configfile", str(ROOT / "config" / "nano_early.yaml")]
    found = CliRunner().invoke(command.app, ["run", "--profile", "lsf"])
    assert "expected one of default, kubernetes, slurm" in str(found.exception)


@pytest.mark.parametrize("options", [("--logger", "w2sg"), places.QUIET])
@pytest.mark.parametrize("profile", ["", "slurm"])
def test_no_option_takes_the_targets(options, profile):
    from snakemake.cli import get_argument_parser

    words = places.asked(ROOT, ["results/a"]).command(profile=profile, options=options)
    assert set(get_argument_parser().parse_args(words[3:]).targets) == {"results/a"}


@pytest.mark.parametrize(
    "words",
    ["STUDY --cores 3 results/a", "--profile slurm STUDY -n results/a", "--configfile STUDY -F results/a", "results/a STUDY --until x"],
)  # fmt: skip
def test_targets_may_follow_options_of_one_word_and_stand_before_all_others(calls, words):
    from snakemake.cli import get_argument_parser

    call("run", *words.replace("STUDY", "config/nano_early.yaml").split())
    assert set(get_argument_parser().parse_args(calls.words[0][3:]).targets) == {"results/a"}


@pytest.mark.parametrize("name", ["run", "report"])
def test_a_command_goes_on_until_the_rounds_of_an_adaptive_study_have_ended(calls, name):
    calls.rounds = 2
    call(name, "--profile", "slurm")
    assert len(calls.words) == 3 and calls.words[0] == calls.words[2]
    assert not {"results/nano/report.html"} & set(calls.words[0])
    assert str(ROOT / "profiles" / "slurm") in calls.words[0]


@pytest.mark.parametrize("name", ["run", "show", "report"])
def test_a_run_that_fails_says_how_far_it_is_and_fails(calls, tmp_path, name):
    folder = tmp_path / "results" / "nano"
    folder.mkdir(parents=True)
    calls.status = 3
    for begun, said in (
        (60.0, "nano"),
        (-60.0, None),
    ):  # one that ended before a run began has no state, not an earlier one's
        made = record.Run(
            study="nano", started=time.time() + begun, cores=1, executor="local", project=str(ROOT), jobs=[]
        )
        record.leave_record(folder, made)
        found = json.loads(call(name, "--json", "--", "--directory", tmp_path, status=3).stdout)
        assert (found and found["study"]) == said
    assert not call("report", "--", "--directory", tmp_path, status=3).stdout


@pytest.mark.parametrize("text", ["", "- a\n", "words\n"])
def test_a_configuration_that_is_none_is_named(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(places.CommandError, match=r"mine\.yaml: expected keys and values"):
        places.asked(ROOT, [str(tmp_path / "mine.yaml")])


def test_an_alias_inside_of_what_it_means_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("heads: &a\n  cleaning: *a\n")
    with pytest.raises(places.CommandError, match=r"mine\.yaml: an alias"):
        places.asked(ROOT, [str(tmp_path / "mine.yaml")])


@pytest.mark.parametrize("kind", ["latin-1", "utf-16"])
def test_a_configuration_in_another_encoding_is_named(tmp_path, kind):
    (tmp_path / "mine.yaml").write_text("study: naïve\n", encoding=kind)
    with pytest.raises(places.CommandError, match=r"mine\.yaml is no UTF-8 text .* save it in UTF-8"):
        places.asked(ROOT, [str(tmp_path / "mine.yaml")])


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny.save_revisions(tmp_path / "run", "gpt_neox", [0, 8])
    tiny.save_revisions(tmp_path / "small", "gpt_neox", [8])
    (tmp_path / "pairs.csv").write_text("prompt,chosen,rejected\n1+1?,2,3\n2+2?,4,5\n")
    return ["--models", "run", "--weak", "small", "--pairs", "pairs.csv", "--name", "mine"]


def test_init_writes_a_study_without_a_question(inputs, tmp_path):
    found = json.loads(call("init", *inputs, "--tokens-per-step", "128", "--rate", "12.5", "--json").output)
    assert found["study"] == "mine.yaml"
    assert found["next"] == ["w2sg check mine.yaml", "w2sg plan mine.yaml", "w2sg run mine.yaml"]
    made = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    assert made["models"]["mine-strong"] == {
        "source": "local", "path": str(tmp_path / "run"), "dtype": "float32", "tokens_per_step": 128.0,
    }  # fmt: skip
    assert made["fetch"] == {"rate": 12.5}
    assert made["datasets"]["mine-pairs"]["file"] == str(tmp_path / "pairs.csv")
    from w2sg.study.config import Origins, complete_config, lay_over

    files = [ROOT / "config" / f"{name}.yaml" for name in places.SHIPPED]
    complete_config(lay_over([*files, Path("mine.yaml")], {}), Origins(files=[], words=[], parsed={}))
    again = CliRunner().invoke(command.app, ["init", *inputs])
    assert "there already" in str(again.exception)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--models": "nosuch"}, "no such folder"),
        ({"--pairs": "nosuch.csv"}, "no file or folder nosuch.csv"),
        ({"--name": "a b"}, "expected letters"),
        (
            {"--name": "nano"},
            "families.nano, models.nano-strong, models.nano-weak is an entry of the shipped configuration",
        ),
        ({"--name": "olmo-7b"}, "families.olmo-7b is an entry of the shipped configuration"),
        ({"--name": "audit"}, "all studies share a folder of this name"),
        ({}, "give --tokens-per-step"),
    ],
)
def test_init_names_what_is_wrong(inputs, change, words):
    given = [change.get(before, word) for before, word in zip(["", *inputs], inputs, strict=False)]
    found = CliRunner().invoke(command.app, ["init", *given])
    assert words in str(found.exception)
    assert not Path("mine.yaml").exists()


@pytest.mark.parametrize(("content", "documents"), [("a\n\n" * 150, 150), ("a\n\n" * 250, None), ("\n", None)])
def test_init_counts_the_documents_of_a_short_text(inputs, content, documents):
    Path("text.txt").write_text(content)
    call("init", *inputs, "--tokens-per-step", "128", "--text", "text.txt")
    assert yaml.safe_load(Path("mine.yaml").read_text())["evaluation"].get("documents") == documents


def test_init_says_that_a_single_revision_has_no_step(inputs):
    found = CliRunner().invoke(command.app, ["init", "--models", "run/step8", *inputs[2:], "--tokens-per-step", "128"])
    assert "--models run/step8: it is one revision, and nothing in it says its step" in str(found.exception)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
@pytest.mark.parametrize("models", ["run", "owner/name"])
def test_init_refuses_tokens_that_a_configuration_would_refuse(inputs, value, models):
    found = CliRunner().invoke(command.app, ["init", "--models", models, *inputs[2:], "--tokens-per-step", value])
    assert re.match(
        "--tokens-per-step: got .*(allowed: more than 0|expected a number that is finite)", str(found.exception)
    )
    assert not Path("mine.yaml").exists()


def test_init_refuses_a_type_that_a_configuration_would_refuse(inputs):
    found = CliRunner().invoke(command.app, ["init", *inputs, "--tokens-per-step", "128", "--dtype", "float7"])
    assert "--dtype: got 'float7', allowed: auto, float32, bfloat16" in str(found.exception)


def test_init_refuses_a_text_that_a_run_would_refuse(inputs):
    Path("text.md").write_text("words")
    found = CliRunner().invoke(command.app, ["init", *inputs, "--tokens-per-step", "128", "--text", "text.md"])
    assert "--text text.md: expected a file that ends in .jsonl" in str(found.exception)
    assert not Path("mine.yaml").exists()


def test_init_writes_no_revision_list_before_all_is_checked(inputs, monkeypatch):
    monkeypatch.setattr("w2sg.revisions.list.write_list", lambda words: Path(words[-1]).write_text("listed") and 0)
    given = ["--models", "owner/name", *inputs[2:]]
    found = CliRunner().invoke(command.app, ["init", *given, "--weak", "nosuch"])
    assert "--weak nosuch" in str(found.exception) and not Path("mine.tsv").exists()
    assert call("init", *given).stderr == "no folder owner/name here; taken for a repository on the Hub\n"
    assert Path("mine.tsv").read_text() == "listed"


def test_init_asks_nobody_who_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(command.app, ["init", "--weak", "small"])
    assert "nobody to ask: give --models, --pairs" in str(found.exception)


def test_status_finds_the_last_study_and_names_those_that_are_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(command.app, ["status"])
    assert "no study was begun" in str(found.exception)
    for name in ("old", "new"):
        Path("results", name).mkdir(parents=True)
        made = record.Run(study=name, started=time.time(), cores=1, executor="local", project=str(ROOT), jobs=[])
        record.leave_record(Path("results", name), made)
        os.utime(Path("results", name, record.FILE), (0, 1 if name == "old" else 2))
    assert json.loads(call("status", "--json").output)["study"] == "new"
    assert "study old" in call("status", "old").output
    found = CliRunner().invoke(command.app, ["status", "other"])
    assert "there are: old, new" in str(found.exception)


STATUS = partial(
    state.Status, study="mine", started=0.0, planned_hours=None, stages=[], counts={}, left=None, at_least=True, failures=[], running=[]
)  # fmt: skip
"""A study of which nothing is known but whether it runs."""


def test_a_watch_goes_on_between_the_rounds_of_an_adaptive_study(monkeypatch):
    alive, clock = chain([False, False, True], repeat(False)), iter(range(0, 1000, 2))
    monkeypatch.setattr(command, "_look", lambda *words, **options: (Path(), STATUS(alive=next(alive))))
    monkeypatch.setattr(command.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(command.time, "monotonic", lambda: float(next(clock)))
    assert [one.alive for one in command._watched(Path(), STATUS(alive=True), 5.0)][:4] == [True, False, False, True]
    assert [one.alive for one in command._watched(Path(), STATUS(alive=False), 5.0)] == [False]


def test_a_watch_measures_the_disk_once_a_minute(tmp_path, monkeypatch):
    made = record.Run(study="mine", started=time.time(), cores=1, executor="local", project=str(ROOT), jobs=[])
    (tmp_path / "results" / "mine").mkdir(parents=True)
    record.leave_record(tmp_path / "results" / "mine", made)
    first = command._look(tmp_path, "mine")[1]
    monkeypatch.setattr(
        command.time, "sleep", lambda seconds: (tmp_path / "results" / "mine" / "new").write_bytes(b"0" * 100_000)
    )
    for every, grown in ((0.0, False), (60.0, True)):
        looks = command._watched(tmp_path, first, every)
        shown = [next(looks).disk["results/mine"] for _ in range(2)]
        assert (shown[1] > shown[0]) is grown


@pytest.mark.parametrize(("counts", "shown"), [({"done": 3}, "whole"), ({"done": 3, "waiting": 1}, "part")])
def test_of_a_finished_study_the_whole_summary_is_shown(tmp_path, counts, shown):
    for when, (folder, text) in enumerate({".": "whole", "partial": "part"}.items()):
        path = tmp_path / folder / "tables" / "summary.txt"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        os.utime(path, (when, when))
    assert newest_summary(tmp_path, STATUS(alive=False, counts=counts)).endswith(f":\n{shown}")
    assert newest_summary(tmp_path / "no", STATUS(alive=False)).startswith("no summary yet")


def test_a_partial_report_says_where_the_rounds_stand(tmp_path, monkeypatch, capsys):
    from w2sg.command import partial

    said = "Config file a\nfamilies.f: adaptive: 8 of 40 revisions in 1 round\n"
    monkeypatch.setattr(partial.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=0, stderr=said))
    made = record.Run(study="nano", started=0.0, cores=1, executor="local", project=str(ROOT), jobs=[])
    partial._run(ROOT, tmp_path, made, {})
    assert capsys.readouterr().err == "families.f: adaptive: 8 of 40 revisions in 1 round\n"
