"""Entries of ``corpora`` that are nothing but text: they serve the evaluation loss, not pre-training and not pairs."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from w2sg.study.fields import KeyMistake, Section, Text

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet", ".txt")


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
    path: Text
    """`.jsonl`, `.jsonl.gz`, `.parquet`, or `.txt` in UTF-8, where empty lines part the documents; relative to the
    working directory.
    """

    @model_validator(mode="after")
    def _is_readable(self) -> Self:
        if not self.path.endswith(SUFFIXES):
            raise KeyMistake("path", f"got {self.path!r}, its name must end in one of {', '.join(SUFFIXES)}")
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
