"""Threads, memory, devices and compute types of the machine that a job runs on."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from w2sg.runtime.locks import first_free


def pick_device(wanted: str) -> str:
    """Returns ``cpu`` or ``cuda``; ``auto`` is the GPU where there is one.

    Raises:
        RuntimeError: If ``cuda`` is asked for and there is none.
    """
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("activations.device is cuda, but PyTorch sees no GPU here; set it to auto or cpu")
    return ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted


def compute_type(wanted: str, device: str = "cpu") -> str:
    """Returns ``float32`` or ``bfloat16``; ``auto`` is bfloat16 on a GPU and on processors that multiply it natively.

    Without such instructions bfloat16 is emulated, many times slower than float32. ``auto`` lets weights
    depend on the processor beyond rounding. Two processors differ in float32 as well (their kernels sum in
    another order), and a training amplifies either difference; the published list says which type was used.
    """
    if wanted != "auto":
        return wanted
    import torch

    known = torch.cpu.get_capabilities()
    return "bfloat16" if device == "cuda" or known.get("avx512_bf16") or known.get("amx_bf16") else "float32"


_KEEP = {-1: -1, -4: 0, -8: 1}
"""Settings of ``mallopt``: trim nothing (M_TRIM_THRESHOLD), map no array by itself (M_MMAP_MAX), one pool (M_ARENA_MAX)."""


def pin_threads(threads: int) -> None:
    """Fixes the CPU threads of array libraries, whatever the machine offers: sums then have the same order everywhere."""
    import torch
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    torch.set_num_threads(threads)
    # The same as use_deterministic_algorithms(True, warn_only=True), which imports the compiler: two seconds a job.
    torch.set_deterministic_debug_mode("warn")


@contextlib.contextmanager
def claim_device(device: str) -> Iterator[str]:
    """Yields the device for the block: one GPU, held so that forward passes of other jobs wait while their downloads go on.

    The lock is one file per GPU in the machine's temporary folder: it holds across working directories, and the system
    frees it when the job dies. On a CPU nothing is claimed, for Snakemake shares out its cores already.

    Args:
        device: ``cpu`` or ``cuda``.

    Yields:
        ``cpu``, or the claimed GPU as ``cuda:1``; that number must be given to what loads a model, for libraries take
        plain ``cuda`` to mean the first one.
    """
    if device != "cuda":
        yield device
        return
    import torch

    folder = Path(tempfile.gettempdir()) / f"w2sg-devices-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    with first_free([folder / f"{name}.lock" for name in _device_names()]) as position:
        torch.cuda.set_device(position)
        yield f"cuda:{position}"


def _device_names() -> list[str]:
    """Returns a name for each GPU that this process sees, the same in all processes: a scheduler may show every job a GPU 0."""
    import torch

    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if len(visible) == count and all(name.startswith("MIG-") for name in visible):
        names = visible  # parts of one GPU, whose UUID they may share
    else:
        names = [str(torch.cuda.get_device_properties(number).uuid) for number in range(count)]
    return [re.sub("[^A-Za-z0-9-]", "_", name) for name in names]


def keep_memory() -> None:
    """Lets the C library keep what arrays leave behind: large ones come and go in numerical jobs.

    By default memory of each large array goes back to the kernel and comes again page by page, which took a fifth of
    the time of heads of a 7B-wide model. A limit of threads' own memory to one pool lets them share it. Where the
    library has no such settings (macOS, musl) nothing is changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for setting, value in _KEEP.items():
            mallopt(setting, value)
