"""The suite's own tokenizer: byte-level pairs, lower case, trained on the pre-training documents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Tokenizer


END_OF_TEXT = "<|endoftext|>"
"""Stands in front of every text and has id 0, as the document separator of Pythia has."""

SMALLEST = 257
"""The 256 byte symbols and :data:`END_OF_TEXT`: with them every text can be written."""

LARGEST = 1 << 16
"""Token ids are stored as 16-bit integers."""

FILES = ("tokenizer.json", "tokenizer_config.json")
"""What :func:`save_tokenizer` writes and each revision carries."""

_ENCODE_AT_ONCE = 512
"""Documents encoded together: bounds the memory for offsets that nobody reads."""


def train_tokenizer(texts: Sequence[str], *, vocabulary: int) -> Tokenizer:
    """Returns a byte-level BPE tokenizer that puts ``<|endoftext|>`` (id 0) in front of every text.

    Text is lower-cased. The result depends on the texts alone: ties between pairs are broken by token id, and
    neither the number of threads nor the order in which words are counted enters.

    Args:
        texts: Pre-training documents.
        vocabulary: Largest number of entries, :data:`END_OF_TEXT` and the 256 bytes included. A small corpus
            gives fewer, once every word is one token.

    Raises:
        ValueError: If there is no text, or ``vocabulary`` is out of range.

    Source: byte-level BPE as in Radford et al. 2019; merges by pair frequency, Sennrich et al. 2016.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    if not SMALLEST <= vocabulary <= LARGEST:
        raise ValueError(f"vocabulary: got {vocabulary}, allowed: {SMALLEST} to {LARGEST}")
    if not any(texts):
        raise ValueError("texts: got no text, allowed: at least one document that is not empty")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        # Sorted: the library hands its alphabet over as a set, and ids follow this order.
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    tokenizer.post_processor = processors.TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single=f"{END_OF_TEXT} $A",
        pair=f"{END_OF_TEXT} $A {END_OF_TEXT}:1 $B:1",
        special_tokens=[(END_OF_TEXT, 0)],
    )
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, *, context: int) -> None:
    """Writes a tokenizer into an existing folder as ``AutoTokenizer`` expects it: :data:`FILES`, nothing else.

    ``context``: longest text of the models that will use it, in tokens.
    """
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=context,
    )
    wrapped.save_pretrained(folder)
    written = sorted(path.name for path in folder.iterdir())
    if written != sorted(FILES):
        raise RuntimeError(f"saving a tokenizer wrote {written}, expected {sorted(FILES)}: transformers has changed")


def encode_documents(tokenizer: Any, texts: Sequence[str]) -> np.ndarray:
    """Returns the token ids of all texts in a row, (n,) uint16, each text opened by ``<|endoftext|>``.

    Raises:
        ValueError: If there is no text.
    """
    if not texts:
        raise ValueError("texts: got none, allowed: at least one document")
    starts = range(0, len(texts), _ENCODE_AT_ONCE)
    blocks = (tokenizer.encode_batch_fast(list(texts[start : start + _ENCODE_AT_ONCE])) for start in starts)
    return np.concatenate([np.asarray(one.ids, dtype=np.uint16) for block in blocks for one in block])
