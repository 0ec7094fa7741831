"""Configurations as the library reads them, and models made of them without weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from w2sg.activations import olmo
from w2sg.revisions.folders import RevisionError
from w2sg.runtime.contents import content_fault


def read_model_config(folder: Path) -> Any:
    """Returns a revision's configuration, without its weights; of the format of ``hf_olmo`` the native one.

    Raises:
        RevisionError: If it cannot be read, or is not of a model that the library knows.
    """
    from transformers import AutoConfig

    raw = read_raw(folder)
    try:
        if olmo.matches(raw):
            return olmo.native_config(raw)
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except RevisionError as error:
        raise RevisionError(f"{folder}: {error}") from None
    except Exception as error:  # classes of the library check their settings with errors of several kinds
        said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise RevisionError(f"{folder / 'config.json'}: {said}") from None


def count_parameters(config: Any) -> int:
    """Returns the number of weights of a causal language model, without making any."""
    return sum(parameter.numel() for parameter in empty_model(config).parameters())


def empty_model(config: Any) -> Any:
    """Returns the causal language model of a configuration on the device ``meta``, where weights have no numbers."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def read_raw(folder: Path) -> dict[str, Any]:
    """Returns a revision's ``config.json`` as it stands; raises :class:`RevisionError` unless it is a JSON object."""
    path = folder / "config.json"
    fault = content_fault(path)
    found = None if fault else json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(found, dict):
        raise RevisionError(f"{path} {fault or 'is no JSON object'}; a model configuration was expected")
    return found
