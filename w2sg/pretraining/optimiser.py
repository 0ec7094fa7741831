"""One optimiser step: gradient of all shards, clipping, AdamW; the same bytes for any number of threads."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from w2sg.pretraining.neox import ShardPass
from w2sg.pretraining.parameters import ParameterLayout

Item = TypeVar("Item")
Result = TypeVar("Result")


class Crew:
    """Threads that share out the items of a list; results come back in the order of the items.

    Every torch operation runs on one thread, whatever the crew's size: which sums are formed, and in which
    order, is fixed by the items alone. Operations release the interpreter lock: two threads do use two cores.

    Args:
        threads: Size of the crew, the calling thread included.
    """

    def __init__(self, threads: int) -> None:
        """Starts the threads; see the class for the arguments."""
        if threads < 1:
            raise ValueError(f"threads: got {threads}, allowed: 1 or more")
        self._others = ThreadPoolExecutor(threads - 1, initializer=_use_one_thread) if threads > 1 else None
        self._threads = threads

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Returns ``function`` of each item, in order."""
        if self._others is None or len(items) == 1:
            return [function(item) for item in items]
        threads = min(self._threads, len(items))

        def share(first: int) -> list[Result]:
            return [function(item) for item in items[first::threads]]

        waiting = [self._others.submit(share, first) for first in range(1, threads)]
        shares = [share(0), *(future.result() for future in waiting)]
        return [shares[index % threads][index // threads] for index in range(len(items))]

    def close(self) -> None:
        """Ends the threads."""
        if self._others is not None:
            self._others.shutdown()


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


@contextlib.contextmanager
def crew_of(threads: int) -> Iterator[Crew]:
    """Yields a :class:`Crew`; meanwhile each torch operation of this process runs on one thread.

    Args:
        threads: Size of the crew, the calling thread included.
    """
    before = torch.get_num_threads()
    crew = Crew(threads)
    _use_one_thread()
    try:
        yield crew
    finally:
        crew.close()
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


class TrainingStep:
    """AdamW on a GPT-NeoX whose batches are split into a fixed number of shards.

    Args:
        config: The model's ``GPTNeoXConfig``.
        layout: Places of its parameters.
        flat: Parameters (size,), float32; updated in place.
        dtype: Compute type of the matrix products.
        batch_size: Sequences of a batch.
        length: Tokens of a sequence.
        shards: Parts of a batch, and of the parameters; a divisor of ``batch_size``. Part of the recipe: it
            fixes the order of summation.
        betas: Decays of the two moments.
        crew: Threads to use; more than ``shards`` find nothing to do.
    """

    eps = 1e-8
    """Added to the root of the second moment."""

    def __init__(
        self,
        config: Any,
        layout: ParameterLayout,
        flat: Tensor,
        *,
        dtype: torch.dtype,
        batch_size: int,
        length: int,
        shards: int,
        betas: tuple[float, float],
        crew: Crew,
    ) -> None:
        """Allocates every buffer; see the class for the arguments."""
        self._flat, self._betas, self._crew, self._layout = flat, betas, crew, layout
        self._weights = flat if dtype == flat.dtype else flat.to(dtype)
        self._gradient = torch.zeros_like(flat)
        self._mean, self._variance = torch.zeros_like(flat), torch.zeros_like(flat)
        sequences = batch_size // shards
        self._shards = [
            ShardPass(config, layout, flat, self._weights, sequences=sequences, length=length) for _ in range(shards)
        ]
        self._terms = batch_size * (length - 1)
        self._pieces = layout.bounds(shards)

    def tensors(self) -> dict[str, Tensor]:
        """Returns parameters and moments by name, each (size,): the live buffers."""
        return {"parameters": self._flat, "mean": self._mean, "variance": self._variance}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over parameters and moments of a saved state."""
        for name, mine in self.tensors().items():
            mine.copy_(tensors[name])
        self._weights.copy_(self._flat)

    def run(self, ids: Tensor, *, step: int, rate: float, decay: float, clip: float) -> float:
        """Returns the mean loss of a batch, in nats per predicted token, before the update it makes.

        Args:
            ids: Token ids (batch_size, length), int64.
            step: Number of this update, from 1.
            rate: Learning rate.
            decay: Decoupled weight decay, on matrices only.
            clip: Largest Euclidean norm of the mean gradient.
        """
        parts = list(zip(self._shards, ids.chunk(len(self._shards)), strict=True))
        losses = self._crew.map(lambda part: part[0].run(part[1]).item(), parts)
        squares = self._crew.map(self._collect, self._pieces)
        norm = math.sqrt(math.fsum(squares)) / self._terms
        scale = min(1.0, clip / (norm + 1e-6)) / self._terms

        def update(piece: tuple[int, int, int]) -> None:
            self._update(piece, step=step, rate=rate, decay=decay, scale=scale)

        self._crew.map(update, self._pieces)
        return math.fsum(losses) / self._terms

    @torch.no_grad()
    def _collect(self, piece: tuple[int, int, int]) -> float:
        """Returns the squared norm of a piece of the summed gradient, which it forms from the shards'."""
        start, middle, end = piece
        offset = self._layout.decayed
        matrices, vectors = self._gradient[start:middle], self._gradient[middle:end]
        for index, shard in enumerate(self._shards):
            add = Tensor.add_ if index else Tensor.copy_
            add(matrices, shard.matrix_gradient[start:middle])
            if end > middle:
                add(vectors, shard.vector_gradient[middle - offset : end - offset])
        whole = self._gradient[start:end]
        return torch.dot(whole, whole).item()

    @torch.no_grad()
    def _update(self, piece: tuple[int, int, int], *, step: int, rate: float, decay: float, scale: float) -> None:
        """Equation: AdamW with decoupled decay, Loshchilov and Hutter 2019, algorithm 2."""
        start, middle, end = piece
        self._gradient[start:end].mul_(scale)
        for part, weight_decay in ((slice(start, middle), decay), (slice(middle, end), 0.0)):
            if part.start == part.stop:
                continue
            adamw(
                [self._flat[part]],
                [self._gradient[part]],
                [self._mean[part]],
                [self._variance[part]],
                [],
                [torch.tensor(float(step - 1))],
                fused=True,
                amsgrad=False,
                beta1=self._betas[0],
                beta2=self._betas[1],
                lr=rate,
                weight_decay=weight_decay,
                eps=self.eps,
                maximize=False,
            )
        if self._weights is not self._flat:
            self._weights[start:end].copy_(self._flat[start:end])
