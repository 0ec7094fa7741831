"""Entries of ``datasets``: preference pairs, or labelled texts, out of corpora, of files or of the Hub."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from w2sg.study.fields import Count, FilePath, KeyMistake, Listed, Name, Natural, Section, Seed, Text
from w2sg.study.protocols import SPLITS
from w2sg.study.texts.files import data_files, single_slashes
from w2sg.study.texts.labels import Label
from w2sg.study.texts.templates import TextForm

DROPPED_SHARE = 0.01
"""Share of the wanted pairs that ``on_invalid: drop`` may cost a split before its size is an error."""


def least_pairs(test_fraction: float) -> int:
    """Returns the fewest pairs of a split with which heads and probes can be fitted: each of these tests a part, and learns another."""
    return max(3, math.floor(0.5 / min(test_fraction, 1 - test_fraction)) + 1)


Words = Annotated[int, Field(ge=2)]


class Columns(Section):
    """Columns of the three texts of a pair; for the Hub with parser `columns` only."""

    prompt: Text | None = "prompt"
    """Column of the prompt; null where rows have none."""
    chosen: Text = "chosen"
    """Column of the better response."""
    rejected: Text = "rejected"
    """Column of the worse response."""


class Files(Section):
    """Instead of `file`, one file or folder for each split."""

    ground_truth: FilePath
    """Training pairs of supervisor and ceiling."""
    weak_supervision: FilePath
    """Pairs that the supervisor labels."""
    test: FilePath
    """Test pairs."""


class Deal(Section):
    """How `file` is dealt to the splits, by prompt."""

    seed: Seed = 0
    """Seed of the deal."""


class _Pairs(TextForm):
    pairs: Annotated[int, Field(ge=8)] | None = None
    """Pairs in each of the three splits; only files need not say it: then all are used, and the plan knows no costs.
    Of task classification: texts, half of them of either class.
    """
    minimum: Count | None = None
    """Fewest valid pairs of a split, else the study stops; default `pairs`, or 99 % of it where rows are dropped."""
    on_invalid: Literal["error", "drop"] = "error"
    """What a row that cannot be used does: it stops the study, or is left out and logged."""
    pool: Literal["last", "mean"] = "last"
    """Features of a text: the hidden state of its last token, or the mean over all of its tokens."""

    @model_validator(mode="after")
    def _counts_fit(self) -> Self:
        if self.pairs is None and not isinstance(self, FilePairs):
            raise ValueError("missing key 'pairs', an integer of at least 8: pairs in each of the three splits")
        if self.minimum and self.pairs and self.minimum > self.pairs:
            raise ValueError(f"minimum {self.minimum} exceeds pairs {self.pairs}; lower minimum")
        return self

    @model_validator(mode="after")
    def _classes_fit(self) -> Self:
        if self.labelled and self.pairs and self.pairs % 2:
            raise KeyMistake(
                "pairs", f"got {self.pairs}, allowed: even numbers, for half of the texts are of either class"
            )
        return self

    @property
    def labelled(self) -> bool:
        """Whether rows are single texts with labels."""
        return getattr(self, "task", None) == "classification"

    @property
    def minimum_rows(self) -> int:
        """How many valid pairs each split must hold.

        A source that has exactly as many rows as wanted cannot lose any, hence the 99 % where rows are dropped.
        """
        if self.minimum is not None:
            return self.minimum
        wanted = self.pairs or 1
        return math.ceil((1 - DROPPED_SHARE) * wanted) if self.on_invalid == "drop" else wanted


class _Rows(_Pairs):
    """What files and datasets on the Hub say besides."""

    task: Literal["classification"] | None = None
    """classification: rows are single texts with a label, not pairs; one class is told from the rest."""
    text: Text | None = None
    """Of task classification: column of the text, unless `template` makes it; default `text`."""
    label: Text | None = None
    """Of task classification: column of the label; default `label`."""
    positive: Label | None = None
    """Of task classification: label of the class that is told from all others; of two labels by default the last in
    alphabetical order (`true`, `yes`), of two numbers the larger. `snakemake -n` says which it is.
    """
    fields: Columns | None = None

    @model_validator(mode="after")
    def _task_has_its_keys(self) -> Self:
        for key in ("fields",) if self.labelled else ("text", "label", "positive"):
            if getattr(self, key) is not None:
                text = (
                    "names columns of pairs" if self.labelled else "belongs to task: classification, which is not set"
                )
                raise KeyMistake(key, f"{text}; remove {key}")
        if self.text and self.template:
            raise KeyMistake("text", "template makes the text; remove one of them")
        return self

    @property
    def columns(self) -> dict[str, str | None]:
        """Names of the columns that are read."""
        if self.labelled:
            return {"text": self.text or "text", "label": self.label or "label"}
        return (self.fields or Columns()).model_dump()


class CorpusPairs(_Pairs):
    """Pairs of windows of a corpus's documents."""

    source: Literal["corpus"]
    """Where the pairs come from: windows of a corpus's documents."""
    corpus: Name
    """Name from corpora; its pair texts are used."""
    task: Literal["topic", "order", "classification"]
    """What tells the two texts apart: the labels of their documents, or the order of the words; classification: windows are
    single texts, of the classes `chosen` or of others.
    """
    chosen: Listed[Text] | None = None
    """Labels of the better texts, or patterns such as `comp.*`; of task topic, which needs them, and classification."""
    rejected: Listed[Text] | None = None
    """Labels of the worse texts, likewise; of task classification by default all that are not chosen."""
    seed: Seed = 0
    """Seed of dealing and pairing."""
    words: Words | None = None
    """Words in a window; default 40, for task order 32. The last window of a document may be shorter."""
    min_words: Words | None = None
    """Words in the shortest window; default 24 or, if that is less or the task is order, `words`."""
    windows: Count = 2
    """Most windows of a document, from its beginning, without overlap."""
    skip_words: Natural = 8
    """Words left out at the beginning of a document (the subject line)."""
    skip_above: Natural = 60
    """Documents of at most so many words lose nothing at the beginning."""
    deal: Literal["cluster", "document"] = "cluster"
    """What stays in one split: documents that nearly repeat each other, or only each document."""

    @model_validator(mode="after")
    def _task_fits(self) -> Self:
        labelled = [key for key in ("chosen", "rejected") if getattr(self, key)]
        if self.task == "topic" and len(labelled) < 2:
            raise ValueError("task topic needs both chosen and rejected, lists of labels such as comp.*")
        if self.task == "order" and labelled:
            raise ValueError(f"task order takes no {', '.join(labelled)}; remove it")
        if self.task == "classification" and not self.chosen:
            raise ValueError("task classification needs chosen, a list of labels such as comp.*")
        if self.task == "classification" and self.template is not None:
            raise KeyMistake("template", "windows of a corpus are texts as they stand; remove template")
        if self.shortest > self.longest:
            raise ValueError(f"min_words {self.min_words} exceeds words {self.longest}")
        return self

    @property
    def longest(self) -> int:
        """Words in a window."""
        return self.words or (32 if self.task == "order" else 40)

    @property
    def shortest(self) -> int:
        """Words in the shortest window."""
        return self.min_words or (self.longest if self.task == "order" else min(self.longest, 24))


class FilePairs(_Rows):
    """Pairs, or labelled texts, on the disk."""

    source: Literal["files"]
    """Where the pairs come from: `.jsonl`, `.json`, `.csv`, `.tsv` (these as `.gz` too) or `.parquet` on the disk."""
    file: FilePath | None = None
    """One file of all pairs, or a folder of such files, relative to the working directory; it is dealt to the splits."""
    split: Deal | None = None
    files: Files | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.files is None):
            raise ValueError(f"give files, one for each of {', '.join(SPLITS)}, or file and split: {{seed: 0}}")
        if self.files and self.split:
            raise KeyMistake("split", "files are split already; remove split")
        return self


class HubPairs(_Rows):
    """Pairs, or labelled texts, of a dataset on the Hugging Face Hub."""

    source: Literal["hub"]
    """Where the pairs come from: a dataset on the Hugging Face Hub."""
    repo: Text
    """owner/name on the Hub."""
    parser: Literal["columns", "hh_single_turn", "cai_harmless", "sciq", "cosmos_qa"] = "columns"
    """How a row becomes a pair: a column for each text, dialogues written like HH-RLHF, or lists of messages. Of task
    classification sciq and cosmos_qa: a question with one of its answers, labelled correct or incorrect.
    """
    revision: Text | None = None
    """Branch, tag or commit; default `main`."""
    subset: Text | None = None
    """Configuration of the dataset, where it has several."""
    data_dir: Text | None = None
    """Folder inside the repository."""
    file: Text | None = None
    """File inside the repository that is read as the split; without it all splits are downloaded."""
    hub_splits: Listed[Text] | None = None
    """Splits that are read; default `train`, or `train_prefs` for parser `cai_harmless`."""
    seed: Seed = 0
    """Seed of the deal to the splits."""

    @model_validator(mode="after")
    def _fields_are_read(self) -> Self:
        if self.fields and self.parser != "columns":
            raise ValueError(f"fields belong to parser columns, not to {self.parser}; remove one of them")
        if self.parser != "columns" and self.labelled != (self.parser in ("sciq", "cosmos_qa")):
            tasks = "task: classification" if self.labelled else "pairs"
            raise KeyMistake("parser", f"{self.parser} does not make rows for {tasks}; correct parser or task")
        if self.file and (self.subset or self.data_dir or len(self.hub_splits or []) > 1):
            raise KeyMistake("file", "a file is one split, and needs neither subset nor data_dir; remove them")
        return self


DatasetEntry = Annotated[CorpusPairs | FilePairs | HubPairs, Field(discriminator="source")]
"""An entry of ``datasets``."""


def required_inputs(spec: Mapping[str, Any]) -> list[str]:
    """Returns the local files that an entry reads whose content is not pinned; of ``datasets`` in the order of the splits."""
    if spec["source"] in ("file", "labels"):
        return [single_slashes(spec["path"])]
    if spec["source"] != "files":
        return []
    named = [spec["file"]] if "file" in spec else [spec["files"][split] for split in SPLITS]
    return [path for name in named for path in data_files(name)]
