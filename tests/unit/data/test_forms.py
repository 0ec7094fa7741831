"""The text that a model reads, from a row of a file or of the Hub to the template: columns, messages, whole dialogues."""

from __future__ import annotations

import json
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.data.test_dialogues import CONTENT, say
from w2sg.data.parsers import parse_columns
from w2sg.data.sources import load_checked
from w2sg.study.datasets import DatasetEntry
from w2sg.study.fields import read
from w2sg.study.texts.templates import form_text

LITERAL = st.text(st.sampled_from("{}<|>\n é#") | st.characters(exclude_categories=["Cs"]), max_size=6)
QUESTIONS = [f"q{number}" for number in range(30)]


def entry(**keys: Any) -> dict[str, Any]:
    return read(DatasetEntry, {"source": "files", "file": "x.jsonl"} | keys, ("datasets", "d")).model_dump()


def text_of(row: dict[str, Any], **keys: Any) -> str:
    spec = entry(**keys)
    prompt, chosen, _ = parse_columns(row, fields=spec.get("fields", {}), bare="template" in spec)
    return form_text(spec, prompt, chosen)


@given(LITERAL, LITERAL, LITERAL, CONTENT, CONTENT)
def test_a_template_reads_columns_and_messages_alike(before, between, after, asked, answer):
    escaped = [part.replace("{", "{{").replace("}", "}}") for part in (before, between, after)]
    template = f"{escaped[0]}{{prompt}}{escaped[1]}{{response}}{escaped[2]}"
    prompt, response = asked.strip(), (answer + "1").strip()
    wanted = f"{before}{prompt}{between}{response}{after}"
    assert text_of({"prompt": prompt, "chosen": response, "rejected": "0"}, template=template) == wanted
    listed = {"chosen": say(f"u: {asked}", f"a: {answer}1"), "rejected": say(f"u: {asked}", "a: 0")}
    assert text_of(listed, template=template) == wanted
    led = {"prompt": say(f"u: {asked}"), "chosen": say(f"a: {answer}1"), "rejected": say("a: 0")}
    assert text_of(led, template=template) == wanted


@given(
    CONTENT, CONTENT, st.sampled_from(["<|user|>\nq\n<|assistant|>", "\n\nHuman: q\n\nAssistant:", "[INST] q [/INST]"])
)
def test_whole_dialogues_are_read_as_they_stand(chosen, rejected, head):
    row = {"chosen": head + chosen + "1", "rejected": head + rejected + "2"}
    assert text_of(row, fields={"prompt": None}) == row["chosen"]


ROWS = {
    "columns": lambda q: {"prompt": q, "chosen": f"good {q}", "rejected": f"bad {q}"},
    "messages": lambda q: {"chosen": say(f"u: {q}", f"a: good {q}"), "rejected": say(f"u: {q}", f"a: bad {q}")},
}
MARKED = "\n\nHuman: {q}\n\nAssistant: good {q}"


@pytest.mark.parametrize("source", ["files", "hub"])
@pytest.mark.parametrize(
    ("kind", "template", "wanted"),
    [
        ("columns", None, "{q} good {q}"),
        ("messages", None, MARKED),
        ("columns", "Q: {prompt} A: {response}", "Q: {q} A: good {q}"),
        ("messages", "Q: {prompt} A: {response}", "Q: {q} A: good {q}"),
        ("messages", "\n\nHuman: {prompt}\n\nAssistant: {response}", MARKED),
    ],
)
def test_files_and_hub_give_the_same_texts(tmp_path, monkeypatch, source, kind, template, wanted):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl").write_text("".join(json.dumps(ROWS[kind](q)) + "\n" for q in QUESTIONS))
    place = {"file": str(folder)} if source == "files" else {"repo": str(folder), "pairs": 8}
    spec = {"source": source, **place} | ({"template": template} if template else {})
    pairs = load_checked(spec, name="d").pairs
    texts = [form_text(spec, row["prompt"], row["chosen"]) for row in pairs.to_dict("records")]
    assert len(texts) >= 24
    assert set(texts) <= {wanted.replace("{q}", q) for q in QUESTIONS}
