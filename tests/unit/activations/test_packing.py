"""Packing: every distinct prefix once, every token found again, memory that runs out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests import tiny
from w2sg.activations import batches, packing
from w2sg.activations.forward import extract_states
from w2sg.activations.models import take_apart

CPU = torch.device("cpu")
IDS = [[1, 2, 3, 4], [1, 2, 5], [7], [1, 2, 3, 4], [1, 2], [7, 1, 2, 3, 4, 5, 6, 7, 8, 9]]


def test_rows_are_the_distinct_prefixes_and_lead_back_to_every_token():
    packed = packing.pack(IDS, CPU)
    assert packed.size == len({tuple(row[:end]) for row in IDS for end in range(1, len(row) + 1)}) == 15
    for row, ids in zip(packed.rows, IDS, strict=True):
        assert packed.tokens[0, row].tolist() == ids
        assert packed.positions[0, row].tolist() == list(range(len(ids)))
    assert [row[-1].item() for row in packed.rows] == packed.last.tolist()


def test_buckets_hold_each_text_and_each_row_is_read_from_a_real_token():
    packed = packing.pack(IDS, CPU)
    assert packed.gather[packed.scatter].tolist() == list(range(packed.size))
    tables = [table.tolist() for table in packed.split(packed.gather)]
    assert sorted(len(table) for table in tables) == sorted(texts for texts, _ in packed.shapes)
    assert sum(len(table) for table in tables) == len(IDS)
    for table in tables:
        for row in table:
            before_padding = [r for r, follower in zip(row, [*row[1:], -1], strict=True) if r != follower]
            assert before_padding in [r.tolist() for r in packed.rows]
    starts = np.cumsum([0] + [texts * longest for texts, longest in packed.shapes])
    for where, row in zip(packed.scatter.tolist(), range(packed.size), strict=True):
        bucket = int(np.searchsorted(starts, where, side="right")) - 1
        assert (where - starts[bucket]) % packed.shapes[bucket][1] == packed.positions[0, row]


def test_mean_is_over_each_texts_own_tokens():
    packed = packing.pack(IDS, CPU)
    states = torch.randn(packed.size, 3, generator=torch.Generator().manual_seed(0))
    got = packed.mean(states)
    for position, rows in enumerate(packed.rows):
        torch.testing.assert_close(got[position], states[rows].mean(0))


@pytest.mark.parametrize("budget", [1, 4, 11, 1000])
def test_batches_cover_every_text_once_within_the_budget(budget):
    rng = np.random.default_rng(0)
    ids = [rng.integers(0, 3, rng.integers(1, 12)).tolist() for _ in range(50)]
    batches = packing.plan_batches(ids, batch_tokens=budget)
    assert sorted(np.concatenate(batches).tolist()) == list(range(50))
    for batch in batches:
        assert packing.pack([ids[row] for row in batch], CPU).size <= budget or len(batch) == 1
    assert len(batches) == 1 or budget < 1000


def test_sharing_is_found_across_texts_that_are_far_apart_in_the_input():
    ids = [[number, number, side] for side in (1, 2) for number in range(20)]
    rows = sum(packing.pack([ids[r] for r in b], CPU).size for b in packing.plan_batches(ids, batch_tokens=8))
    assert rows == 20 * 4


def test_running_out_of_memory_halves_the_budget_and_loses_no_text(caplog):
    ids = [[number] * 4 for number in range(16)]
    sizes = []

    def forward(batch: packing.Packed) -> torch.Tensor:
        sizes.append(batch.size)
        if batch.size > 20:
            raise torch.OutOfMemoryError("no")
        return batch.tokens[0, batch.last]

    got = np.full(16, -1)
    for rows, result in batches.run_batches(ids, forward, batch_tokens=64, device=CPU):
        got[rows] = result
    assert got.tolist() == list(range(16))
    assert sizes == [64, 32, 16, 16, 16, 16]
    assert "batches of 16 tokens" in caplog.text


@pytest.mark.parametrize(
    "message",
    [
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call",
    ],
)
def test_a_text_that_never_fits_and_other_errors_are_raised(message):
    def full(batch: packing.Packed) -> torch.Tensor:
        raise RuntimeError(message)

    def broken(batch: packing.Packed) -> torch.Tensor:
        raise RuntimeError("shapes disagree")

    with pytest.raises(MemoryError, match="a text of 3 tokens"):
        list(batches.run_batches([[1, 2, 3], [4]], full, batch_tokens=100, device=CPU))
    with pytest.raises(RuntimeError, match="shapes"):
        list(batches.run_batches([[1, 2, 3], [4]], broken, batch_tokens=100, device=CPU))


class OneDevice(TorchDispatchMode):
    """Refuses operations, other than copies, on tensors of two devices, as a GPU would."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, torch.Tensor) and leaf.dim()]
        assert len({tensor.device for tensor in tensors}) < 2 or "copy" in str(func), f"{func} on several devices"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("pool", ["last", "mean"])
@pytest.mark.parametrize("architecture", ["gpt_neox", "olmo", "olmo2", "llama"])
def test_nothing_is_brought_to_another_device_before_the_pooled_rows(architecture, pool):
    model = take_apart(tiny.model(architecture, seed=1).to("meta"), None)
    # Tensors without data stand for a device that is not there; what is brought back first is where the pass ends.
    brought = pytest.raises(TypeError, match="can't convert meta device")
    with brought as error, OneDevice():
        extract_states(model, IDS, layers=(0, 1, 2), batch_tokens=100, pool=pool)
    assert error.traceback[-1].name == "_packed_states" and ".numpy()" in str(error.traceback[-1].statement)
