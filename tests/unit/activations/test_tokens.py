"""Token ids are those of the file, whatever transformers would make of the folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests import tiny
from w2sg.activations.models import load_model
from w2sg.activations.tokens import check_ids, encode_texts, hash_ids, load_tokenizer
from w2sg.revisions.folders import RevisionError

MARK = "<|endoftext|>"
TEXTS = [
    "\n\nHuman: in 1987, how many?\n\nAssistant: 9071164",
    "WE'LL shout, they'RE near",
    "a = 2;\n\n\n\tb",
    "  naïve 語  ",
    MARK,
]
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(split: str | None, *, start: bool) -> Tokenizer:
    inner = Tokenizer(models.BPE())
    alone = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None)
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [*([pre_tokenizers.Split(Regex(split), "isolated")] if split else []), alone]
    )
    inner.decoder = decoders.ByteLevel()
    return trained(inner, trainers.BpeTrainer(
        vocab_size=500, special_tokens=[MARK], show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())
    ), start=start)  # fmt: skip


def sentence_pieces(*, start: bool) -> Tokenizer:
    inner = Tokenizer(models.Unigram())
    inner.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    return trained(inner, trainers.UnigramTrainer(
        vocab_size=120, special_tokens=[MARK, "<unk>"], unk_token="<unk>", show_progress=False
    ), start=start)  # fmt: skip


def trained(inner: Tokenizer, trainer: trainers.Trainer, *, start: bool) -> Tokenizer:
    inner.train_from_iterator(TEXTS * 20, trainer)
    if start:
        inner.post_processor = processors.TemplateProcessing(single=f"{MARK} $A", special_tokens=[(MARK, 0)])
    return inner


CASES = {
    "another split than its class": (byte_level(SPLIT, start=False), {"tokenizer_class": "GPT2Tokenizer", "eos_token": MARK}),
    "a mark in front": (byte_level(None, start=True), None),
    "a mark that the settings deny": (byte_level(SPLIT, start=True), {"tokenizer_class": "LlamaTokenizer", "add_bos_token": False}),
    "a mark that the settings want": (
        byte_level(None, start=False), {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "bos_token": MARK}),
    "pieces": (sentence_pieces(start=True), {"tokenizer_class": "T5Tokenizer", "legacy": False}),
    "a class that nobody knows": (byte_level(None, start=False), {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["x.Y", None]}}),
    "more tokens in the settings": (
        byte_level(None, start=False),
        {"tokenizer_class": "PreTrainedTokenizerFast", "additional_special_tokens": ["in", "near"], "pad_token": "[PAD]"}),
}  # fmt: skip


def save(folder: Path, inner: Tokenizer, settings: dict | None, kind: str = "llama") -> Path:
    folder.mkdir(exist_ok=True)
    inner.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "gpt2"])
@pytest.mark.parametrize("name", CASES)
def test_ids_are_those_of_the_file(tmp_path, name, kind):
    inner, settings = CASES[name]
    made = load_tokenizer(save(tmp_path, inner, settings, kind))
    assert encode_texts(made, TEXTS, max_tokens=200) == [inner.encode(text).ids for text in TEXTS]


@pytest.mark.filterwarnings("ignore")
def test_another_reading_is_said_and_the_same_one_is_not(tmp_path, capsys):
    load_tokenizer(save(tmp_path / "a", *CASES["another split than its class"]))
    assert "tokenizer.json: transformers' AutoTokenizer would make other ids" in capsys.readouterr().out
    tiny.tokenizer().save_pretrained(tmp_path / "b")
    load_tokenizer(tmp_path / "b")
    assert "other ids" not in capsys.readouterr().out


def test_cutting_and_padding_that_a_file_asks_for_are_not_done(tmp_path):
    inner = byte_level(None, start=False)
    expected = [inner.encode(text).ids for text in TEXTS]
    inner.enable_truncation(3)
    inner.enable_padding(length=9)
    made = load_tokenizer(save(tmp_path, inner, None))
    assert encode_texts(made, TEXTS, max_tokens=200) == expected


def test_a_tokenizer_that_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(RevisionError, match=r"its tokenizer cannot be read \(no tokenizer: expected tokenizer.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("<html>")
    with pytest.raises(RevisionError, match=f"{tmp_path}: its tokenizer cannot be read"):
        load_tokenizer(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_older_files_serve_where_there_is_no_other(tmp_path):
    inner = byte_level(None, start=False)
    inner.model.save(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    made = load_tokenizer(tmp_path)
    assert encode_texts(made, TEXTS[:2], max_tokens=200) == [inner.encode(text).ids for text in TEXTS[:2]]


def test_ids_without_a_row_in_the_embedding_are_refused(tmp_path):
    tiny.save_revisions(tmp_path, "llama", [0])
    made = load_tokenizer(tmp_path / "step0")
    check_ids(made, 320, place="m")
    with pytest.raises(RevisionError, match=r"m: the tokenizer has ids up to 319 \('.*'\), the embedding has 319 rows"):
        check_ids(made, 319, place="m")
    inner = json.loads((tmp_path / "step0/tokenizer.json").read_text())
    inner["added_tokens"].append({**inner["added_tokens"][0], "id": 320, "content": "[PAD]"})
    (tmp_path / "step0/tokenizer.json").write_text(json.dumps(inner))
    with pytest.raises(RevisionError, match=r"step0: the tokenizer has ids up to 320 \('\[PAD\]'\)"):
        load_model(tmp_path / "step0", dtype="float32", device="cpu")


def test_the_hash_of_ids_tells_texts_apart():
    assert hash_ids([[1, 2], [3]]) == hash_ids([(1, 2), (3,)])
    assert len({hash_ids(ids) for ids in ([[1, 2], [3]], [[1], [2, 3]], [[3], [1, 2]], [[12], [3]])}) == 4
