"""Bytes behind tokens: they sum to the text's, whatever its tokenizer does with spaces, characters and normal forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tests import tiny
from w2sg.activations import forward
from w2sg.activations.models import take_apart
from w2sg.activations.tokens import encode_counted

TEXTS = [
    "the cat sees one red ship.\n\nthe dog, however, does not.",
    "  the   cat\n",
    " ",
    "日本語のテキスト 😀😀 the ship",
    "e\u0301tude and étude",  # the first is two characters, which NFC makes one
    "a      b<|endoftext|>the cat",
]


def byte_level(*, trim: bool, mark: bool = False, prefix: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with NFC and added runs of spaces; OLMo's trims offsets, Pythia's does not."""
    inner = Tokenizer(models.BPE())
    inner.normalizer = normalizers.NFC()
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator([" ".join(tiny.WORDS)] * 4, trainer)
    inner.add_tokens(["      "])
    if trim:
        inner.post_processor = processors.ByteLevel(trim_offsets=True)
    elif mark:
        inner.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|endoftext|>")


def sentencepiece() -> PreTrainedTokenizerFast:
    """A vocabulary with marks for spaces, whose unknown characters fall back to bytes, as Llama's."""
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "t", "h", "e", "▁t", "he", "▁the"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he")]
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", byte_fallback=True))
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    inner.decoder = decoders.ByteFallback()
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")


TOKENIZERS = {
    "pythia": byte_level(trim=False),
    "olmo": byte_level(trim=True),
    "marks": byte_level(trim=False, mark=True),
    "prefix": byte_level(trim=True, prefix=True),
    "sentencepiece": sentencepiece(),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_bytes_of_tokens_sum_to_those_of_the_text(name):
    rng = np.random.default_rng(0)
    pool = [*"abc  \n\t", "é", "e\u0301", "語", "😀", "the ", "<|endoftext|>"]
    mixed = ["".join(rng.choice(pool, size=int(rng.integers(1, 30)))) for _ in range(200)]
    texts = [*TEXTS, *mixed]
    for text, (ids, counts) in zip(texts, encode_counted(TOKENIZERS[name], texts), strict=True):
        assert len(counts) == len(ids)
        assert min(counts) >= 0
        assert sum(counts) == len(text.encode()), repr(text)


def test_every_token_of_a_byte_level_vocabulary_has_its_own_bytes():
    for name in ("pythia", "olmo"):
        ((ids, counts),) = encode_counted(TOKENIZERS[name], ["the 語 cat"])
        assert len(ids) == len(counts)
        assert counts == [3, 1, 1, 1, 1, 4]  # a character in three parts; spaces go with the word that follows


def test_marks_around_a_text_have_no_bytes():
    ((_, counts),) = encode_counted(TOKENIZERS["marks"], ["the cat"])
    assert counts[0] == counts[-1] == 0
    ((_, plain),) = encode_counted(TOKENIZERS["pythia"], ["the cat"])
    assert counts[1:-1] == plain


def test_plain_english_without_trimmed_offsets_counts_as_by_offsets():
    """The embedded study and Pythia: their numbers are those of the tokenizer's own offsets."""
    rng = np.random.default_rng(1)
    texts = [f"{tiny.sentence(rng)}.\n\n  {tiny.sentence(rng)}:      (x = 3)" for _ in range(50)]
    for tokenizer in (tiny.tokenizer(), TOKENIZERS["pythia"]):
        encoded = tokenizer(texts, return_offsets_mapping=True)
        by_offsets = [[end - start for start, end in spans] for spans in encoded["offset_mapping"]]
        assert [counts for _, counts in encode_counted(tokenizer, texts)] == by_offsets


def test_bits_per_byte_do_not_depend_on_trimmed_offsets():
    model = tiny.model("olmo", seed=1)
    model.resize_token_embeddings(400)
    losses = [
        forward.evaluation_loss(take_apart(model, TOKENIZERS[name]), TEXTS[:1], window=64, batch_tokens=1000)
        for name in ("pythia", "olmo")
    ]
    first = len(TOKENIZERS["olmo"](TEXTS[0])["input_ids"]) - losses[1].tokens
    assert first == 1  # the first token, "the", is context
    expected = losses[1].nats_per_token * losses[1].tokens / math.log(2) / (len(TEXTS[0].encode()) - 3)
    assert losses[0].bits_per_byte == losses[1].bits_per_byte == pytest.approx(expected)
