"""A small GPT-NeoX in training: its initial weights, its optimiser, and one update after the other."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from w2sg.study.pretraining import Architecture, PretrainingSettings, learning_rate

LOSS_WINDOW = 32
"""Batches over which the published training loss is averaged; fixed, so that it depends on the step alone."""


def build_model(architecture: Architecture, *, vocabulary: int, length: int, seed: int) -> Any:
    """Returns a ``GPTNeoXForCausalLM`` of ``length`` positions with initial weights that depend on the seed alone."""
    config = transformers.GPTNeoXConfig(
        vocab_size=vocabulary,
        hidden_size=architecture.hidden_size,
        num_hidden_layers=architecture.num_hidden_layers,
        num_attention_heads=architecture.num_attention_heads,
        intermediate_size=architecture.intermediate_size,
        max_position_embeddings=length,
        initializer_range=architecture.initializer_range,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": architecture.rotary_pct,
        },
        bos_token_id=0,
        eos_token_id=0,
        tie_word_embeddings=False,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return transformers.GPTNeoXForCausalLM(config)


def build_optimiser(model: Any, settings: PretrainingSettings) -> torch.optim.AdamW:
    """Returns the AdamW of a model: matrices are decayed, vectors are not.

    Source: Loshchilov and Hutter 2019, algorithm 2.
    """
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), fused=True)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Lets each torch operation run on one thread meanwhile: sums then have one order, whatever the machine offers.

    A second thread makes steps of the embedded models 1.5 times faster where its core is idle, and several times
    slower where another process wants it. Two trainings side by side use two cores better.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Training:
    """A model, its optimiser and its last losses; starts at step 0.

    Nothing is random after the start: initial weights follow from the seed, and the model has no dropout. Hence
    there is no generator to save.

    Args:
        architecture: Sizes of the model.
        settings: Training run.
        vocabulary: Entries of the tokenizer.
        dtype: Type of the matrix products, ``float32`` or ``bfloat16``. Parameters, residual stream, norms,
            softmax and loss are float32 in either case.
    """

    def __init__(
        self, architecture: Architecture, settings: PretrainingSettings, *, vocabulary: int, dtype: str
    ) -> None:
        """Builds model and optimiser; see the class for the arguments."""
        self.step = 0
        self.model = build_model(
            architecture, vocabulary=vocabulary, length=settings.sequence_length, seed=settings.seed
        )
        # In sequences this short, written-out attention is faster on a CPU than the fused one in bfloat16.
        self.model.set_attn_implementation("eager")
        self._optimiser = build_optimiser(self.model, settings)
        self._settings, self._dtype = settings, dtype
        self._losses: deque[float] = deque(maxlen=LOSS_WINDOW)

    @property
    def mean_loss(self) -> float | None:
        """Mean loss of the last batches, nats per predicted token; None before the first."""
        return math.fsum(self._losses) / len(self._losses) if self._losses else None

    def update(self, ids: torch.Tensor) -> float:
        """Takes the next optimiser step; returns the mean loss before it, in nats per predicted token.

        Args:
            ids: Token ids (batch_size, sequence_length), int64. A sequence predicts its own tokens from the second on.
        """
        self.step += 1
        with torch.autocast("cpu", torch.bfloat16, enabled=self._dtype == "bfloat16"):
            logits = self.model(input_ids=ids[:, :-1], use_cache=False).logits  # (B, T - 1, V)
        loss = cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten())
        self._optimiser.zero_grad()
        loss.backward()
        clip_grad_norm_(self.model.parameters(), self._settings.clip_norm)
        rate = learning_rate(self._settings, self.step)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        self._losses.append(loss.item())
        return self._losses[-1]

    def state(self) -> dict[str, Any]:
        """Returns what :meth:`restore` needs to continue from here; its tensors are the live ones."""
        return {
            "step": self.step,
            "losses": list(self._losses),
            "model": dict(self.model.state_dict()),
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continues where a state was taken."""
        self.step = state["step"]
        self._losses.extend(state["losses"])
        self.model.load_state_dict(state["model"])
        self._optimiser.load_state_dict(state["optimiser"])
