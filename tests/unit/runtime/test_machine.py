"""Each job has a GPU of its own: pretended devices, since the claim is a matter of names and locks."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from types import SimpleNamespace

import pytest

from w2sg.runtime.machine import claim_device

torch = pytest.importorskip("torch")


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Pretends that the process sees the GPUs with the given UUIDs; returns the list of the positions taken."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    taken: list[int] = []

    def see(*uuids: str, visible: str = "") -> list[int]:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(uuids))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: SimpleNamespace(uuid=uuids[number]))
        monkeypatch.setattr(torch.cuda, "set_device", taken.append)
        return taken

    return see


def is_free() -> bool:
    """Whether another job would get a device at once."""
    got = threading.Event()

    def claim() -> None:
        with contextlib.suppress(Exception), claim_device("cuda"):
            got.set()

    threading.Thread(target=claim, daemon=True).start()
    return got.wait(1.0)


def test_jobs_on_one_machine_take_different_devices_and_a_third_waits(machine):
    taken = machine("a", "b")
    with claim_device("cuda") as first, claim_device("cuda") as second:
        assert taken == [0, 1] and (first, second) == ("cuda:0", "cuda:1")
        assert not is_free()
    assert is_free()


def test_two_jobs_that_a_scheduler_shows_their_own_gpu_0_do_not_wait_for_each_other(machine):
    machine("a", visible="0")
    with claim_device("cuda"):
        machine("b", visible="0")
        assert is_free()


def test_one_gpu_is_one_however_it_is_numbered(machine):
    machine("a", "b")
    with claim_device("cuda"):
        machine("a", visible="1")
        assert not is_free()


def test_parts_of_one_gpu_are_devices_of_their_own(machine):
    machine("a", visible="MIG-1")
    with claim_device("cuda"):
        assert not is_free()
        machine("a", visible="MIG-2")
        assert is_free()


def test_a_cpu_is_not_claimed(machine):
    taken = machine()
    with claim_device("cpu") as first, claim_device("cpu") as second:
        assert taken == [] and first == second == "cpu"
