"""What a model's configuration says about whether packed texts can be run through it: before its weights are read."""

from __future__ import annotations

from typing import Any

from w2sg.revisions import RevisionError

TESTED = (
    "gemma",
    "gemma3_text",
    "gpt_neox",
    "llama",
    "mistral",
    "olmo",
    "olmo2",
    "olmo3",
    "phi",
    "phi3",
    "qwen2",
    "qwen3",
    "starcoder2",
)
"""Model types whose packed states and losses tests compare with those of each text alone, in float32 and bfloat16."""

WINDOWS = ("sliding_window", "attention_chunk_size")
"""Settings that keep a token from seeing all before it."""
CAPS = ("attn_logit_softcapping", "final_logit_softcapping", "logits_soft_cap")
"""Settings that bend scores or logits; neither is applied to packed texts."""
SCALES = ("logit_scale", "logits_scaling", "lm_head_multiplier")
"""Settings that scale logits outside the output embedding."""


class UnsupportedModel(RevisionError):
    """A model through which packed texts cannot be run, or not with the right numbers."""

    def __init__(self, kind: str, reason: str) -> None:
        """Makes the message from the model type and the reason."""
        super().__init__(f"a model of type {kind!r} cannot be swept: {reason} (known to work: {', '.join(TESTED)})")


def check_settings(config: Any, *, longest: int) -> None:
    """Raises :class:`UnsupportedModel` if a setting would matter that packed texts do not see.

    A short check run could not notice them: a window is longer than it, caps and scales do little to small logits.

    Args:
        config: The model's configuration.
        longest: Most tokens of a text or window.
    """
    text = config.get_text_config()
    kinds = getattr(text, "layer_types", None) or ["sliding_attention", "chunked_attention"]
    limited = any(kind != "full_attention" for kind in kinds)
    for name in WINDOWS:
        window = getattr(text, name, None)
        if limited and window is not None and window < longest:
            raise UnsupportedModel(
                config.model_type,
                f"{name} is {window}, so that a token would not see all of {longest} tokens; "
                f"activations.max_tokens of at most {window} avoids it",
            )
    for name in CAPS:
        if getattr(text, name, None) is not None:
            raise UnsupportedModel(config.model_type, f"{name} is {getattr(text, name)}, which is not applied")
    for name in SCALES:
        if getattr(text, name, None) not in (None, 1):
            raise UnsupportedModel(config.model_type, f"{name} is {getattr(text, name)}, which is not applied")
    _check_positions(config.model_type, text, longest)


def _check_positions(kind: str, text: Any, longest: int) -> None:
    """Refuses positions whose turns depend on the longest text of a batch."""
    given = getattr(text, "rope_parameters", None) or {}
    for rope in (given, *(value for value in given.values() if isinstance(value, dict))):
        bound = rope.get("original_max_position_embeddings") or getattr(text, "max_position_embeddings", longest)
        if rope.get("rope_type") in ("dynamic", "longrope") and longest > bound:
            raise UnsupportedModel(
                kind, f"its positions change with texts of more than {bound} tokens; lower activations.max_tokens"
            )
