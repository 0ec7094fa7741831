"""What a model is trained on: documents of the named part alone, the stream of tokens, and batches of it."""

import numpy as np
import pandas as pd
import pytest

from tests.pretraining_runs import IDS, run
from tests.pretraining_runs import no_waiting_for_the_disk as no_waiting_for_the_disk
from w2sg.data.corpora import select_documents
from w2sg.pretraining.tokenizer import train_tokenizer
from w2sg.pretraining.tokens import Batches, read_tokens, write_tokens


def documents(**parts: list[str]) -> pd.DataFrame:
    rows = [(f"{part}-{i}", part, text) for part, texts in parts.items() for i, text in enumerate(texts)]
    return pd.DataFrame(rows, columns=["doc_id", "part", "text"]).sample(frac=1, random_state=0)


def test_only_the_named_part_is_read_in_the_order_of_ids():
    frame = documents(train=["a", "b"], heldout=["c"], pair_texts=["secret"])
    assert select_documents(frame, "train") == ["a", "b"]
    assert select_documents(frame, "heldout") == ["c"]


@pytest.mark.parametrize("part", ["pair_texts", "evaluation", "", "Train"])
def test_refuses_to_hand_out_text_of_the_pairs(part):
    with pytest.raises(ValueError, match=f"part: got '{part}', allowed: train, heldout"):
        select_documents(documents(train=["a"], pair_texts=["secret"]), part)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (documents(heldout=["a"]), "no document of part 'train'"),
        (documents(train=["a", " "]), "document 'train-1' has no text"),
    ],
)
def test_refuses_documents_that_are_not_what_they_should_be(frame, message):
    with pytest.raises(ValueError, match=message):
        select_documents(frame, "train")


def test_token_stream_round_trip(tmp_path):
    write_tokens(IDS, tmp_path / "a.safetensors")
    write_tokens(IDS.copy(), tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert np.array_equal(read_tokens(tmp_path / "a.safetensors"), IDS)
    (tmp_path / "a.safetensors").write_bytes(b"cut")
    with pytest.raises(ValueError, match="a.safetensors: not a token stream.*remake"):
        read_tokens(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="ids: got shape"):
        write_tokens(IDS.astype(np.int64), tmp_path / "a.safetensors")


def test_batches_show_every_chunk_once_before_any_twice():
    ids = np.arange(8 * 21 + 5, dtype=np.uint16)
    batches = Batches(ids, length=8, batch_size=3, seed=0)
    epoch = np.concatenate([batches.batch(step) for step in range(1, 8)])
    assert sorted(epoch[:, 0]) == list(range(0, 8 * 21, 8))
    assert (epoch == epoch[:, :1] + np.arange(8)).all()
    assert epoch[:, 0].tolist() != sorted(epoch[:, 0])
    assert np.array_equal(batches.batch(8), batches.batch(1))
    assert batches.batch(1).dtype == np.int64
    assert not np.array_equal(Batches(ids, length=8, batch_size=3, seed=1).batch(1), batches.batch(1))
    with pytest.raises(ValueError, match="ids: got 173 tokens, allowed: at least one batch of 30 x 8"):
        Batches(ids, length=8, batch_size=30, seed=0)


def test_refuses_a_tokenizer_that_does_not_fit(tmp_path):
    with pytest.raises(ValueError, match="tokenizer: got 300 entries, allowed: at most 290"):
        run(tmp_path, vocabulary_size=290)
    with pytest.raises(ValueError, match="ids: got token 299, allowed: below the tokenizer's 257 entries"):
        run(tmp_path, tokenizer=train_tokenizer(["a"], vocabulary=257))
    assert not list(tmp_path.glob("step*"))
