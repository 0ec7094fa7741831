"""Which jobs of a queue belong to an earlier run of a folder: told from what squeue prints."""

from __future__ import annotations

import stat

import pytest

from w2sg.runtime import slurm

RUN = "0f8b2a5e-5d1c-4b7a-9e3f-2a6c1d4e8b90"


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Puts a squeue on the path that prints the given lines once, and nothing afterwards; all calls are noted."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def answer(*lines: str, status: int = 0) -> None:
        (folder / "lines").write_text("".join(f"{line}\n" for line in lines))
        for name in ("squeue", "scancel"):
            script = folder / name
            script.write_text(
                f"#!/bin/sh\necho {name} $* >> {folder}/calls\n"
                f"[ {name} = squeue ] && cat {folder}/lines && : > {folder}/lines\n"
                f"[ {status} = 0 ] || echo 'no controller' >&2\nexit {status}\n"
            )
            script.chmod(script.stat().st_mode | stat.S_IXUSR)

    answer.calls = folder / "calls"  # pyright: ignore[reportFunctionMemberAccess]
    return answer


def test_only_this_folders_snakemake_jobs_count(squeue, tmp_path):
    here, elsewhere = tmp_path / "study", tmp_path / "other"
    squeue(
        f"11|R|w2sg_{RUN}|{here}",
        f"12|PD|{RUN}|{here}",
        f"13|R|w2sg_{RUN}|{elsewhere}",
        f"14|R|bash|{here}",
        f"15|R|w2sg-driver|{here}",
    )
    assert list(slurm.queued_jobs(here).items()) == [("11", "R"), ("12", "PD")]


def test_a_start_is_refused_while_they_are_queued(squeue, tmp_path):
    squeue(f"11|R|w2sg_{RUN}|{tmp_path}")
    with pytest.raises(slurm.QueueError, match=r"1 job of an earlier run .* 11 R.*w2sg.runtime.slurm wait"):
        slurm.refuse_leftovers(tmp_path)
    slurm.refuse_leftovers(tmp_path)


def test_they_are_waited_for_or_cancelled(squeue, tmp_path, capsys):
    squeue(f"11|R|w2sg_{RUN}|{tmp_path}")
    assert slurm.main(["wait", "--folder", str(tmp_path), "--poll", "0.01"]) == 0
    assert "waiting for 1 job of an earlier run: 11 R" in capsys.readouterr().err
    squeue(f"11|R|w2sg_{RUN}|{tmp_path}")
    assert slurm.main(["cancel", "--folder", str(tmp_path)]) == 0
    assert "scancel 11" in squeue.calls.read_text()


def test_a_queue_that_cannot_be_read_is_an_error_that_says_why(squeue, tmp_path, capsys, monkeypatch):
    squeue(status=1)
    assert slurm.main(["list", "--folder", str(tmp_path)]) == 1
    assert "squeue failed: no controller" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(slurm.QueueError, match="squeue was not found"):
        slurm.queued_jobs(tmp_path)
