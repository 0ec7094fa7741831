import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer, GPTNeoXConfig

from w2sg.pretraining.tokenizer import END_OF_TEXT, FILES, encode_documents, save_tokenizer, train_tokenizer

ROOT = Path(__file__).parents[3]


def corpus(seed: int = 0, documents: int = 60) -> list[str]:
    rng = np.random.default_rng(seed)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    words = ["".join(rng.choice(syllables, size=rng.integers(1, 4))) for _ in range(200)]
    return [" ".join(rng.choice(words, size=40)) for _ in range(documents)]


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return train_tokenizer(corpus(), vocabulary=400)


def test_separator_is_entry_zero_and_opens_every_text(trained):
    assert trained.token_to_id(END_OF_TEXT) == 0
    assert trained.encode("badu").ids[0] == 0
    assert trained.encode("").ids == [0]
    assert 0 not in trained.encode("badu", add_special_tokens=False).ids


def test_every_text_can_be_written_and_read_back_in_lower_case(trained):
    text = "Badu, KAFÉ\t中文 \U0001f600\n2 x"
    ids = trained.encode(text, add_special_tokens=False).ids
    assert trained.decode(ids) == text.lower()


def test_frequent_words_become_one_token(trained):
    untrained = train_tokenizer(corpus(), vocabulary=257)
    text = corpus()[0]
    assert len(trained.encode(text).ids) < 0.7 * len(untrained.encode(text).ids)
    assert untrained.get_vocab_size() == 257


def test_vocabulary_is_a_bound_that_a_small_corpus_does_not_reach():
    assert train_tokenizer(["aa"], vocabulary=5000).get_vocab_size() <= 258


@pytest.mark.parametrize("vocabulary", [0, 256, 65_537])
def test_refuses_a_vocabulary_out_of_range(vocabulary):
    with pytest.raises(ValueError, match=f"vocabulary: got {vocabulary}, allowed: 257 to 65536"):
        train_tokenizer(corpus(), vocabulary=vocabulary)


@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_refuses_no_text(texts):
    with pytest.raises(ValueError, match="texts: got no text"):
        train_tokenizer(texts, vocabulary=300)


def test_loads_as_any_hub_tokenizer_beside_a_models_config(trained, tmp_path):
    save_tokenizer(trained, tmp_path, context=16)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    GPTNeoXConfig(hidden_size=16, num_attention_heads=2, vocab_size=400).save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert loaded.is_fast
    text = "Badu fegi"
    assert loaded(text)["input_ids"] == trained.encode(text).ids
    assert loaded(text)["input_ids"][0] == 0
    loaded.truncation_side = "left"
    cut = loaded(text, truncation=True, max_length=3)["input_ids"]
    assert cut == [0, *trained.encode(text).ids[-2:]]
    assert loaded.model_max_length == 16


def test_saving_again_gives_the_same_bytes(trained, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save_tokenizer(trained, tmp_path / name, context=16)
    reloaded = Tokenizer.from_file(str(tmp_path / "a" / "tokenizer.json"))
    (tmp_path / "c").mkdir()
    save_tokenizer(reloaded, tmp_path / "c", context=16)
    for name in FILES:
        assert len({(tmp_path / folder / name).read_bytes() for folder in "abc"}) == 1


def test_another_process_with_other_threads_and_hash_seed_trains_the_same(trained):
    code = (
        "import sys; from tests.unit.pretraining.test_tokenizer import corpus, train_tokenizer; "
        "sys.stdout.write(train_tokenizer(corpus(), vocabulary=400).to_str())"
    )
    env = {**os.environ, "RAYON_NUM_THREADS": "1", "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == json.loads(trained.to_str())
    assert done.stdout == trained.to_str()
    assert train_tokenizer(corpus(seed=1), vocabulary=400).to_str() != trained.to_str()


def test_encodes_documents_one_after_the_other(trained):
    texts = corpus()[:5]
    ids = encode_documents(trained, texts)
    assert ids.dtype == np.uint16
    assert ids.tolist() == [token for text in texts for token in trained.encode(text).ids]
    assert (ids == 0).sum() == len(texts)
    with pytest.raises(ValueError, match="texts: got none"):
        encode_documents(trained, [])


def test_encoding_in_blocks_changes_nothing(trained, monkeypatch):
    texts = corpus()[:7]
    whole = encode_documents(trained, texts)
    monkeypatch.setattr("w2sg.pretraining.tokenizer._ENCODE_AT_ONCE", 3)
    assert np.array_equal(encode_documents(trained, texts), whole)
