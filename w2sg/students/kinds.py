"""What of a model is trained: all of it, or low-rank adapters beside its frozen weights; and how it becomes itself again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save_file

from w2sg.activations.models import LoadedModel
from w2sg.study.protocols import StudentKind
from w2sg.study.sections import Students

ADAPTER = "w2sg"
"""Name of the adapters inside a model."""


class Trainable(Protocol):
    """A decoder of which something is trained."""

    def parameters(self) -> list[torch.nn.Parameter]:
        """Returns what is trained of the decoder."""
        ...

    def reset(self, seed: int) -> None:
        """Makes the decoder that of the revision again; ``seed`` draws what is drawn."""
        ...

    def save(self, temporary: Path) -> None:
        """Writes what is trained into a folder, for ``from_pretrained`` of transformers or peft."""
        ...


class FullBackbone:
    """All weights of the decoder; copies of them lie in the host's memory meanwhile."""

    def __init__(self, model: LoadedModel, settings: Students) -> None:
        """Keeps a copy of the weights."""
        model.decoder.requires_grad_(True)
        self._decoder: Any = model.decoder
        self._own = list(model.decoder.parameters())
        self._copies = [parameter.detach().to("cpu", copy=True) for parameter in self._own]

    def parameters(self) -> list[torch.nn.Parameter]:
        """Returns all of them."""
        return self._own

    def reset(self, seed: int) -> None:
        """Copies the revision's weights back."""
        with torch.no_grad():
            for parameter, kept in zip(self._own, self._copies, strict=True):
                parameter.copy_(kept)

    def save(self, temporary: Path) -> None:
        """Writes the decoder, for ``AutoModel.from_pretrained``."""
        self._decoder.save_pretrained(temporary)


class Adapters:
    """Low-rank adapters beside frozen linear layers.

    Reference: Hu et al. 2022, LoRA, by peft. B begins at zero, so that an untrained adapter changes nothing; A is drawn.
    """

    def __init__(self, model: LoadedModel, settings: Students) -> None:
        """Puts adapters into the decoder.

        Raises:
            ValueError: If a target is not a linear layer of the model.
        """
        from peft import LoraConfig, inject_adapter_in_model

        check_targets(model.decoder, settings.lora.targets)
        targets: Any = settings.lora.targets
        alpha: Any = settings.lora.alpha
        config = LoraConfig(
            r=settings.lora.rank,
            lora_alpha=alpha,
            lora_dropout=0.0,
            target_modules=targets if isinstance(targets, str) else list(targets),
        )
        inject_adapter_in_model(config, model.decoder, adapter_name=ADAPTER)
        inner: Any = model.decoder
        self._config, self._decoder = config, inner
        self._pairs = [
            (module.lora_A[ADAPTER].weight, module.lora_B[ADAPTER].weight)
            for module in inner.modules()
            if hasattr(module, "lora_A")
        ]
        self._own = [parameter for parameter in model.decoder.parameters() if parameter.requires_grad]
        for parameter in self._own:  # as precise as its optimiser's moments, whatever the frozen weights are
            parameter.data = parameter.data.float()

    def parameters(self) -> list[torch.nn.Parameter]:
        """Returns the adapters' matrices."""
        return self._own

    def reset(self, seed: int) -> None:
        """Draws A again, the same for a seed on every device, and sets B to zero."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for down, up in self._pairs:
                drawn = torch.nn.init.kaiming_uniform_(torch.empty(down.shape), a=5**0.5)
                down.data.copy_(drawn)
                up.data.zero_()

    def save(self, temporary: Path) -> None:
        """Writes the adapters alone, for ``PeftModel.from_pretrained`` beside the revision's own decoder (``AutoModel``)."""
        from peft import get_peft_model_state_dict

        self._config.save_pretrained(str(temporary))
        found = get_peft_model_state_dict(self._decoder, adapter_name=ADAPTER)
        named = {f"base_model.model.{name}": tensor.contiguous().cpu() for name, tensor in found.items()}
        save_file(named, temporary / "adapter_model.safetensors", metadata={"format": "pt"})


@contextlib.contextmanager
def adapters_added(decoder: torch.nn.Module) -> Iterator[None]:
    """Lets layers with adapters multiply once during the block, by the sum of both weights, where these are in float32.

    For passes without gradients: the sum is made again for each, and no weight is changed. Of weights in half precision it would
    lose most of the adapter.
    """
    modules: Any = decoder.modules()
    found = [
        module
        for module in modules
        if hasattr(module, "lora_A")
        and isinstance(module.get_base_layer(), torch.nn.Linear)
        and module.weight.dtype == torch.float32
    ]
    for module in found:
        module.forward = partial(_multiply_once, module)
    try:
        yield
    finally:
        for module in found:
            del module.forward


def _multiply_once(module: Any, states: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.linear(states, module.weight + module.get_delta_weight(ADAPTER), module.bias)


def check_targets(decoder: torch.nn.Module, targets: str | Sequence[str]) -> None:
    """Raises ValueError, naming what there is, if a target of LoRA is not the last part of a linear layer's name.

    Args:
        decoder: The decoder; its weights need not be there (device ``meta``).
        targets: Names, or ``all-linear``.
    """
    linear = {
        name.rsplit(".", 1)[-1] for name, module in decoder.named_modules() if isinstance(module, torch.nn.Linear)
    }
    wanted = [] if isinstance(targets, str) else targets
    unknown = [name for name in wanted if name not in linear]
    if unknown or not linear:
        raise ValueError(f"students.lora.targets: {unknown or targets} not found; linear layers are {sorted(linear)}")


KINDS: dict[StudentKind, Any] = {"lora": Adapters, "full": FullBackbone}
"""What makes a model trainable, by the name of the kind."""
