"""Forward passes batch by batch: the next one begins before the last one's results are read, and memory may run out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from w2sg.activations.packing import Packed, pack, plan_batches

OUT_OF_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What errors of the host's allocator, of pinned memory and of cuBLAS say, which have no type of their own."""


def run_batches(
    ids: Sequence[Sequence[int]],
    forward: Callable[[Packed], torch.Tensor],
    *,
    batch_tokens: int,
    device: torch.device,
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Yields the positions of each batch's texts and what ``forward`` makes of them, in the host's memory.

    A GPU begins with the next batch before the caller gets the results of this one, and so never waits for the host.
    When memory runs out the budget is halved for all that is left, and the work goes on.

    Args:
        ids: Token ids of each text, none empty.
        forward: Takes a packed batch.
        batch_tokens: Rows of a forward pass to begin with.
        device: Where batches are put.

    Yields:
        Positions, (batch,), and the result.

    Raises:
        MemoryError: If not even a single text fits.
    """
    left = plan_batches(ids, batch_tokens=batch_tokens)[::-1]
    ready: list[tuple[np.ndarray, Callable[[], torch.Tensor]]] = []
    while left:
        rows = left[-1]
        try:
            ready.append((rows, _send(forward(pack([ids[row] for row in rows], device)))))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        else:
            left.pop()
            if len(ready) > 1:
                before, receive = ready.pop(0)
                yield before, receive()
            continue
        # Outside of the handler, whose traceback would keep the failed pass's tensors alive.
        batch_tokens //= 2
        if len(rows) == 1 or batch_tokens < 1:
            raise MemoryError(f"a text of {len(ids[rows[0]])} tokens does not fit in the memory of {device}")
        if device.type == "cuda":
            torch.cuda.empty_cache()
        logging.getLogger(__name__).warning("out of memory: going on with batches of %d tokens", batch_tokens)
        rest = np.concatenate(left)
        left = [rest[part] for part in plan_batches([ids[row] for row in rest], batch_tokens=batch_tokens)][::-1]
    for rows, receive in ready:
        yield rows, receive()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Returns whether an error says that memory ran out, on a GPU or on the host."""
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in OUT_OF_MEMORY)


def _send(result: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Starts to copy a result to the host; returns what waits for it there."""
    if result.device.type != "cuda":
        return lambda: result
    host = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
    host.copy_(result, non_blocking=True)
    copied = torch.cuda.Event()
    copied.record(torch.cuda.current_stream(result.device))  # by default that of the current device, maybe another one

    def receive() -> torch.Tensor:
        copied.synchronize()
        return host

    return receive
