"""Declared table of what models read: an example of the text with its token ids, and what was cut."""

from __future__ import annotations

from w2sg.tables.files import declare, real, text, whole

READINGS = declare(
    "readings",
    text("model", "model that read the texts: a name in `models`"),
    text("revision", "branch or folder of the weights and the tokenizer, as published"),
    text("dataset", "preference dataset"),
    text("tokenizer", "file names and SHA-256 of the tokenizer, whatever the order of its keys"),
    text("ids", "SHA-256 of the token ids of all texts: equal if, and only if, two revisions read the same"),
    whole("texts", "number of texts, two for each pair"),
    whole("max_tokens", "longest text, tokens; longer ones lose their beginning and keep their marks"),
    real("cut_chosen", "share of the chosen texts that were cut"),
    real("cut_rejected", "share of the rejected texts that were cut"),
    text(
        "example", "the first pair's chosen text, as it was read but for the cut; the middle of a long one is left out"
    ),
    text("first_ids", "the first token ids of the example"),
    text("last_ids", "its last token ids"),
    keys=("model", "revision", "dataset"),
)
"""How each revision read each dataset."""
