"""Token ids are those of the file, whatever transformers would make of the folder."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tests import tiny
from w2sg.activations.models import load_model
from w2sg.activations.tokens import ReadPairs, check_ids, encode_texts, hash_ids, load_tokenizer, read_pairs
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
    assert encode_texts(made, TEXTS, max_tokens=200)[0] == [inner.encode(text).ids for text in TEXTS]


@pytest.mark.filterwarnings("ignore")
def test_another_reading_is_said_and_the_same_one_is_not(tmp_path, capsys):
    load_tokenizer(save(tmp_path / "a", *CASES["another split than its class"]))
    assert "tokenizer.json: transformers' AutoTokenizer would make other ids" in capsys.readouterr().out
    tiny.tokenizer().save_pretrained(tmp_path / "b")
    load_tokenizer(tmp_path / "b")
    assert "other ids" not in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
def test_tokens_that_only_the_settings_hold_are_split_and_said(tmp_path, capsys):
    inner = byte_level(None, start=False)
    added = {str(600 + n): {"content": f"<|im_{name}|>", "special": True} for n, name in enumerate(("start", "end"))}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": added}
    made = load_tokenizer(save(tmp_path, inner, settings))
    assert "other ids of a probe text (<|im_end|>, <|im_start|> are tokens for it); those of" in capsys.readouterr().out
    text = "<|im_start|>shout<|im_end|>"
    assert encode_texts(made, [text], max_tokens=200)[0] == [inner.encode(text).ids]


@pytest.mark.filterwarnings("ignore")
def test_a_tokenizer_that_splits_at_random_is_refused(tmp_path):
    for number, dropout in enumerate((0.0, 0.3, 1.0)):
        inner = byte_level(None, start=False)
        inner.model.dropout = dropout
        folder = save(tmp_path / str(number), inner, None)
        if not dropout:
            load_tokenizer(folder)
            continue
        with pytest.raises(RevisionError, match=rf"tokenizer.json: model.dropout is {dropout:g}, expected none"):
            load_tokenizer(folder)


def test_cutting_and_padding_that_a_file_asks_for_are_not_done(tmp_path):
    inner = byte_level(None, start=False)
    expected = [inner.encode(text).ids for text in TEXTS]
    inner.enable_truncation(3)
    inner.enable_padding(length=9)
    made = load_tokenizer(save(tmp_path, inner, None))
    assert encode_texts(made, TEXTS, max_tokens=200)[0] == expected


def test_a_tokenizer_that_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(RevisionError, match=r"the tokenizer cannot be read \(no tokenizer: expected tokenizer.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("<html>")
    with pytest.raises(RevisionError, match=f"{tmp_path}/tokenizer.json: the tokenizer cannot be read"):
        load_tokenizer(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_older_files_serve_where_there_is_no_other(tmp_path):
    inner = byte_level(None, start=False)
    inner.model.save(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    made = load_tokenizer(tmp_path)
    assert encode_texts(made, TEXTS[:2], max_tokens=200)[0] == [inner.encode(text).ids for text in TEXTS[:2]]


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


PAIRS = pd.DataFrame(
    {
        "row_id": ["r0", "r1"],
        "prompt": ["the cat", ""],
        "chosen": ["sees {x}", "a dog"],
        "rejected": ["\nnear it " * 9, "b"],
    }
)


def texts_read(spec: dict, *, max_tokens: int = 200, template: str | None = None) -> tuple[list[str], ReadPairs]:
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = template
    read = read_pairs(tokenizer, PAIRS, spec, max_tokens=max_tokens)
    spelled = ["".join(tokenizer.convert_ids_to_tokens(row)) for row in read.ids]
    return [text.replace("Ġ", " ").replace("Ċ", "\n") for text in spelled], read


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"source": "files"}, [f"{MARK}the cat sees {{x}}", f"{MARK}a dog"]),
        ({"source": "files", "template": "Q: {prompt} A: {response}"}, [f"{MARK}Q: the cat A: sees {{x}}", f"{MARK}Q:  A: a dog"]),
        ({"source": "corpus", "bos": "no"}, ["the catsees {x}", "a dog"]),
        ({"source": "files", "bos": "yes"}, [f"{MARK}the cat sees {{x}}", f"{MARK}a dog"]),  # one is there already
        ({"source": "files", "bos": "no", "eos": "yes"}, [f"the cat sees {{x}}{MARK}", f"a dog{MARK}"]),
        ({"source": "files", "chat": True}, ["user=the cat;assistant=sees {x};", "assistant=a dog;"]),
        ({"source": "files", "chat": True, "bos": "yes"}, [f"{MARK}user=the cat;assistant=sees {{x}};", f"{MARK}assistant=a dog;"]),
    ],
)  # fmt: skip
def test_texts_are_made_as_the_dataset_says(spec, expected):
    turns = "{% for turn in messages %}{{ turn.role }}={{ turn.content }};{% endfor %}"
    found, read = texts_read(spec, template=turns)
    assert found[:2] == expected
    assert read.facts["ids"] == hash_ids(read.ids)
    assert (read.facts["first_ids"], read.facts["last_ids"]) == (read.ids[0][:12], read.ids[0][-12:])
    assert read.facts["example"] == expected[0].replace(MARK, "")


def test_pairs_that_become_the_same_ids_are_counted_and_refused_if_all_do():
    with pytest.raises(
        ValueError, match="row r0: chosen and rejected become the same token ids, as in every other row"
    ):
        texts_read({"template": "{response} same end"}, max_tokens=3)
    assert texts_read({"source": "files"}, max_tokens=3)[1].same == 0


def test_what_is_cut_is_counted_and_marks_stay():
    whole = texts_read({"source": "files", "eos": "yes"})[1]
    found, read = texts_read({"source": "files", "eos": "yes"}, max_tokens=14)
    assert read.lengths.tolist() == whole.lengths.tolist()
    assert (read.facts["cut_chosen"], read.facts["cut_rejected"]) == (0.0, 0.5)
    assert found[2].startswith(MARK) and found[2].endswith(f"near it {MARK}") and len(read.ids[2]) == 14
    assert read.ids[2][1:-1] == whole.ids[2][-13:-1]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"chat": True}, "no chat template; give template instead"),
        ({"template": "{response}", "bos": "no", "eos": "no", "rows": ["", ""]}, "row r0 has no tokens"),
    ],
)
def test_texts_that_cannot_be_made_are_named(spec, message):
    pairs = PAIRS.assign(chosen=spec.pop("rows", PAIRS["chosen"]))
    with pytest.raises(ValueError, match=message):
        read_pairs(tiny.tokenizer(), pairs, {"source": "files"} | spec, max_tokens=64)


@pytest.mark.parametrize(
    ("template", "spec", "message"),
    [
        ("{{ messages[0].content }}", {}, r"row r0: .* leaves out the turn of role assistant \('sees {x}'\)"),
        ("{% if messages|length == 1 %}x{% else %}{{ messages }}{% endif %}", {}, r"row r1: .* role assistant \('a dog'\)"),
        ("<|endoftext|>{{ messages }}", {"bos": "yes"}, "row r0: bos: yes, but the tokenizer's chat template writes <.endoftext.> itself"),
    ],
)  # fmt: skip
def test_a_chat_template_that_leaves_out_turns_or_doubles_marks_is_named_with_its_row(template, spec, message):
    with pytest.raises(ValueError, match=message):
        texts_read({"chat": True} | spec, template=template)


def test_a_chat_template_that_refuses_a_row_and_a_mark_without_a_name_are_named():
    with pytest.raises(
        ValueError,
        match=r"row r1: the tokenizer's chat template cannot write turns of assistant \(begin with a question\)",
    ):
        texts_read(
            {"chat": True},
            template="{% if messages[0].role != 'user' %}{{ raise_exception('begin with a question') }}{% endif %}{{ messages }}",
        )
    nameless = PreTrainedTokenizerFast(tokenizer_object=byte_level(None, start=False))
    with pytest.raises(ValueError, match="eos: yes, but the revision's tokenizer names no eos_token"):
        read_pairs(nameless, PAIRS, {"source": "files", "eos": "yes"}, max_tokens=64)
    with pytest.raises(ValueError, match="max_tokens: 2 leaves no room beside 2 marks"):
        texts_read({"source": "files", "eos": "yes"}, max_tokens=2)


@pytest.mark.parametrize("place", ["tokenizer_config.json", "chat_template.jinja", "named"])
def test_marks_and_the_chat_template_come_from_the_folder(tmp_path, place):
    inner = byte_level(None, start=False)
    settings: dict = {"bos_token": {"content": MARK}, "eos_token": "absent"}
    if place == "tokenizer_config.json":
        settings["chat_template"] = "T"
    elif place == "named":
        settings["chat_template"] = [{"name": "tool", "template": "X"}, {"name": "default", "template": "T"}]
    else:
        (tmp_path / place).write_text("T")
    made = load_tokenizer(save(tmp_path, inner, settings))
    assert (made.bos_token, made.eos_token, made.chat_template) == (MARK, None, "T")
    assert len(made.get_vocab()) == inner.get_vocab_size()


def test_the_hash_of_ids_tells_texts_apart():
    assert hash_ids([[1, 2], [3]]) == hash_ids([(1, 2), (3,)])
    assert len({hash_ids(ids) for ids in ([[1, 2], [3]], [[1], [2, 3]], [[3], [1, 2]], [[12], [3]])}) == 4
