"""A revision's decoder with a reward head on each text's last token: the model that is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from w2sg.activations.attention import last_rows_suffice, packed_attention
from w2sg.activations.models import LoadedModel
from w2sg.activations.packing import Packed, pack, plan_batches
from w2sg.students.kinds import adapters_added


class Scorer(torch.nn.Module):
    """Scores texts by w . h of the final state of their last token; w begins at zero.

    Texts are packed without padding, and what they have in common at their beginnings is computed once. A model that packed
    rows do not fit (:func:`w2sg.activations.check.check_model`) takes texts of one length, or each alone.
    """

    _batch: Packed
    """What is scored now."""

    def __init__(self, model: LoadedModel, *, mixed_precision: bool = False, checkpointing: bool = False) -> None:
        """Takes a loaded model, whose decoder becomes a part of this module.

        Args:
            model: The model.
            mixed_precision: Whether passes run in bfloat16 beside weights in float32.
            checkpointing: Whether the states inside of blocks are not kept for the way back, but computed again.
        """
        super().__init__()
        decoder: Any = model.decoder
        embedding: Any = model.embedding
        self.model, self.decoder, self.mixed_precision = model, model.decoder, mixed_precision
        self.accelerator = Accelerator(
            mixed_precision="bf16" if mixed_precision else "no",
            cpu=model.device.type == "cpu",
            device_placement=False,
        )
        width = int(embedding.weight.shape[1])
        self.head = torch.nn.Linear(width, 1, bias=False, device=model.device, dtype=torch.float32)
        torch.nn.init.zeros_(self.head.weight)
        # No text's score may depend on a coin: the same labels give the same student.
        for module in decoder.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            for owner in (module, getattr(module, "config", None)):
                for name, value in list(vars(owner).items()) if owner is not None else []:
                    if ("dropout" in name or name in ("layerdrop", "attn_pdrop")) and isinstance(value, float):
                        vars(owner)[name] = 0.0
        if checkpointing:
            decoder.activation_checkpointing_enable()
            decoder.train()

    def forward(self, ids: Sequence[Sequence[int]]) -> torch.Tensor:
        """Returns scores, float32, (texts,).

        Args:
            ids: Token ids of each text, none empty.
        """
        states = self._alone(ids) if self.model.alone else self._together(ids)
        # Scores in bfloat16 would tie: a margin is a small difference of two of them.
        with torch.autocast(self.model.device.type, enabled=False):
            return self.head(states.to(self.head.weight.dtype))[:, 0]

    def _together(self, ids: Sequence[Sequence[int]]) -> torch.Tensor:
        batch = self._batch = pack(ids, self.model.device)
        return self.model.final_states(batch)[0].index_select(0, batch.last)

    def _alone(self, ids: Sequence[Sequence[int]]) -> torch.Tensor:
        lengths = np.array([len(row) for row in ids])
        groups: list[list[int]] = [np.flatnonzero(lengths == n).tolist() for n in np.unique(lengths)]
        if not self.model.shares_lengths:
            groups = [[place] for place in range(len(ids))]
        found = []
        for places in groups:
            tokens = torch.tensor([list(ids[place]) for place in places], device=self.model.device)
            out = self.model.whole(input_ids=tokens, output_hidden_states=True, use_cache=False)
            found.append(out.hidden_states[-1][:, -1])
        return torch.cat(found)[torch.from_numpy(np.argsort(np.concatenate(groups))).to(self.model.device)]

    @contextlib.contextmanager
    def attending(self, *, training: bool) -> Iterator[None]:
        """Lets the decoder take packed texts during the block, in which the way back must lie too.

        The last block is spared all rows but last tokens behind its attention: nothing else is read of it.

        Args:
            training: Whether gradients are wanted.
        """
        if self.model.alone:
            yield
            return

        def narrow(module: object, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            return (inputs[0].index_select(1, self._batch.last), *inputs[1:])

        def widen(module: object, inputs: object, output: torch.Tensor) -> torch.Tensor:
            empty = output.new_zeros(1, self._batch.size, output.shape[-1])
            return empty.index_copy(1, self._batch.last, output)

        hooks = []
        for module in last_rows_suffice(self.model.blocks[-1]):
            hooks += [module.register_forward_pre_hook(narrow), module.register_forward_hook(widen)]
        try:
            with packed_attention(self.decoder, own=not training):
                yield
        finally:
            for hook in hooks:
                hook.remove()

    def score(self, ids: Sequence[Sequence[int]], *, batch_tokens: int) -> np.ndarray:
        """Returns scores of many texts without gradients, float64, (texts,).

        Args:
            ids: Token ids of each text, none empty.
            batch_tokens: Rows of a forward pass.
        """
        scores = np.empty(len(ids))
        once = contextlib.nullcontext() if self.mixed_precision else adapters_added(self.decoder)
        with torch.inference_mode(), once, self.attending(training=False), self.accelerator.autocast():
            for places in plan_batches(ids, batch_tokens=batch_tokens):
                scores[places] = self([ids[place] for place in places]).double().cpu().numpy()
        return scores
