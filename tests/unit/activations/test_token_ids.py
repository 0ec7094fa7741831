"""Token ids equal those of the library ``tokenizers`` on the file alone: texts of any kind, and real ones where they are there.

With ``bos: auto`` a text is compared with all that the file makes of it, marks of its post-processor among them; with ``bos: no``
and ``eos: no`` with the same file's ids without marks. What other files of a folder say of marks plays no part.
"""

from __future__ import annotations

import gzip
import json
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.dag.test_hh import DATA
from tests.unit.activations.test_tokens import CASES, MARK, save
from w2sg.activations.tokens import NoTokensError, encode_texts, load_tokenizer

REAL = DATA / "hh_helpful_w2s.jsonl.gz"
KINDS = [("a mark in front", "gpt_neox"), *((name, "llama") for name in CASES)]
REAL_KINDS = [("another split than its class", "llama"), ("a mark in front", "gpt_neox")]
"""A class that would split otherwise, and a file with a mark that nothing else names: what transformers reads differently."""
PIECES = st.sampled_from([
    MARK, "<|endoftext", "|>", "<s>", "</s>", "[INST]", "[PAD]", "<unk>", "▁", "Ġ", " ", "  ", "\t", "\n", "\r\n", "\n\n\n",
    "DON'T", "they'RE", "650841823", "in", "near", "\u00a0", "\u200b", "\ufeff", "é", "e\u0301", "語", "ﬁ", "Ⅷ", "😀",
    "👩\u200d👩\u200d👧", "🇩🇪", "\u0000", "\\n", "{prompt}",
])  # fmt: skip
ANY = st.lists(PIECES | st.text(max_size=6), max_size=8).map("".join)
"""Texts that begin and end with space, line ends, halves of characters and what looks like a mark."""


@pytest.fixture(scope="module", params=KINDS, ids=[f"{name}, {kind}" for name, kind in KINDS])
def loaded(request, tmp_path_factory):
    """A tokenizer as an extraction loads it, and the library's own reading of the same file."""
    name, kind = request.param
    folder = save(tmp_path_factory.mktemp("revision"), *CASES[name], kind)
    return load_tokenizer(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))


def ids_of(tokenizer: object, text: str, **marks: str) -> list[int]:
    try:
        return encode_texts(tokenizer, [text], max_tokens=10_000, **marks)[0][0]
    except NoTokensError:
        return []


@pytest.mark.filterwarnings("ignore")
@given(text=ANY)
def test_any_text_has_the_ids_of_the_file(loaded, text):
    tokenizer, file = loaded
    assert ids_of(tokenizer, text) == file.encode(text).ids
    assert ids_of(tokenizer, text, bos="no", eos="no") == file.encode(text, add_special_tokens=False).ids


@cache
def real_texts() -> list[str]:
    """The first 2,000 pairs: 4,000 texts as models read them."""
    with gzip.open(REAL, "rt", encoding="utf-8") as lines:
        rows = [json.loads(next(lines)) for _ in range(2000)]
    return [row["prompt"] + row[side] for row in rows for side in ("chosen", "rejected")]


@pytest.mark.hub_data
@pytest.mark.skipif(not REAL.exists(), reason="HH-RLHF files are not here")
@pytest.mark.parametrize("loaded", REAL_KINDS, ids=[name for name, _ in REAL_KINDS], indirect=True)
def test_4000_real_texts_have_the_ids_of_the_file(loaded):
    tokenizer, file = loaded
    found, lengths = encode_texts(tokenizer, real_texts(), max_tokens=1 << 20)
    expected = [one.ids for one in file.encode_batch(real_texts())]
    assert len(found) == 4000
    assert found == expected
    assert lengths.tolist() == [len(ids) for ids in expected]
