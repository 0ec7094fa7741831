"""What models read of each dataset's first pair, shown before anything runs: its text, and token ids where a tokenizer is on the disk.

Read while the DAG is built, so the standard library; the library ``tokenizers`` where it is installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

from w2sg.revisions.facts.chat import write_chat
from w2sg.revisions.facts.comparison import local_folders
from w2sg.revisions.facts.descriptions import TOKENIZER, describe_folder
from w2sg.revisions.facts.ids import ENDS, MARK_NAMES, chat_template, cut_text, marks_around, named_marks, wanted_marks
from w2sg.revisions.facts.readable import open_tokenizer, split_text
from w2sg.revisions.folders import RevisionError
from w2sg.study.families import Family, used_revisions
from w2sg.study.fields import ConfigError, Mistake
from w2sg.study.texts.templates import shorten

Text = str | tuple[str, str]
"""What is known of a dataset's first pair: its text, or prompt and response where a chat template writes the text."""


def show_examples(config: Mapping[str, Any], families: Mapping[str, Family], texts: Mapping[str, Text]) -> list[str]:
    """Returns in words what models read of each dataset's first pair, with token ids where a tokenizer is on the disk.

    Args:
        config: The checked configuration, whose local models :func:`check_local` has accepted.
        families: The study's families, resolved.
        texts: A text of each dataset, as its template forms it, or what a chat template is to write.

    Raises:
        ConfigError: If a mark is wanted that a tokenizer does not name, or no room is left beside marks.
    """
    shown: dict[str, dict[str, dict[str, list[str]]]] = {
        name: {text: {}} if isinstance(text, str) else {} for name, text in texts.items()
    }
    for model, revisions in used_revisions(families).items():
        entry, limit = config["models"][model], config["activations"]["max_tokens"]
        if entry["source"] == "local" and (folders := local_folders(config, families, model, revisions)):
            folder = [*folders.values()][-1]
            limit = min(limit, describe_folder(folder).context or limit)
            folder = Path(entry.get("tokenizer", folder))
        elif entry["source"] == "pretrain":
            folder = Path("resources/tokenizers", entry["corpus"], str(entry["pretraining"]["vocabulary_size"]))
        else:
            continue
        try:
            found = example_ids(folder, texts, config["datasets"], max_tokens=limit)
        except (ValueError, RevisionError) as error:
            raise ConfigError([Mistake(("models", model), str(error))]) from None
        for name, (text, ids) in found.items():
            shown[name].setdefault(text, {}).setdefault(show_ids(ids), []).append(model)
    lines = []
    for name, read in shown.items():
        for text, same in read.items():
            who = "models" if isinstance(texts[name], str) else ", ".join(chain(*same.values()))
            kind = _kind(config["datasets"][name])
            lines.append(f"datasets.{name}: of the first {kind} {who} read {shorten(text, 200)!r}")
            lines += [f"datasets.{name}: its token ids for {', '.join(some)}: {ids}" for ids, some in same.items()]
    return lines


def _kind(entry: Mapping[str, Any]) -> str:
    return "text" if entry.get("task") == "classification" else "pair"


def example_ids(
    folder: Path, texts: Mapping[str, Text], entries: Mapping[str, Mapping[str, Any]], *, max_tokens: int
) -> dict[str, tuple[str, list[int]]]:
    """Returns the text that a model reads and the token ids that an extraction makes of it, by dataset.

    Without a ``tokenizer.json`` there are none, nor where a chat template, or transformers to write by it, is missing.

    Args:
        folder: That of the tokenizer.
        texts: A text of each dataset, as its template forms it, or what a chat template is to write.
        entries: Entries of ``datasets``: the marks they want.
        max_tokens: Longest text.

    Raises:
        ValueError: Naming the dataset, if a mark is wanted that the tokenizer does not name, no room is left beside the
            marks, or a chat template cannot write a text; or naming the file, if it is no tokenizer, or cannot split a text.
    """
    path = folder / TOKENIZER
    if not texts or not path.is_file() or find_spec("tokenizers") is None:
        return {}
    inner = open_tokenizer(path)
    marks = named_marks(folder, inner.get_vocab())
    named = {name: inner.token_to_id(marks[name]) if name in marks else None for name in MARK_NAMES}
    probe, found = split_text(inner, "a", place=path, marks=True), {}
    template = chat_template(folder) if find_spec("transformers") is not None else None
    tokens = {f"{name}_token": text for name, text in marks.items()}
    for dataset, text in texts.items():
        spec = entries[dataset]
        try:
            if not isinstance(text, str):
                if template is None:
                    continue
                text = write_chat(template, *text, tokens=tokens, spec=spec)
            before, after = marks_around(probe.ids, probe.special_tokens_mask, named, wanted_marks(spec))
            body = split_text(inner, text, place=path, marks=False).ids
            found[dataset] = text, cut_text(body, before, after, max_tokens=max_tokens)
        except ValueError as error:
            raise ValueError(f"datasets.{dataset}: {error}") from None
    return found


def show_ids(ids: Sequence[int]) -> str:
    """Returns token ids as text, of many the first and the last ones, with their number."""
    shown = [*ids] if len(ids) <= 2 * ENDS else [*ids[:ENDS], "...", *ids[-ENDS:]]
    return f"{' '.join(map(str, shown))} ({len(ids)} tokens)"
