"""Reads a corpus's training documents, trains the tokenizer on them, writes it and their tokens."""

from typing import TYPE_CHECKING

from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
from w2sg.tables import origins
from w2sg.tables.files import read_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(*, documents: str, vocabulary: int, tokenizer: str, tokens: str, recipe: int, log: str) -> None:
    with jobs.log_to(log) as lines:
        from w2sg.data import corpora
        from w2sg.pretraining.tokenizer import encode_documents, train_tokenizer
        from w2sg.pretraining.tokens import write_tokens
        from w2sg.tables.schemas import DOCUMENTS

        texts = corpora.select_documents(read_table(documents, DOCUMENTS), "train")
        trained = train_tokenizer(texts, vocabulary=vocabulary)
        ids = encode_documents(trained, texts)
        with atomic_path(tokenizer) as path:
            trained.save(str(path))
        write_tokens(ids, tokens, origin=origins.trace("train_tokenizer", {"recipes.TOKENIZER": recipe}, [documents]))
        lines.write(f"{len(texts)} documents, {trained.get_vocab_size()} entries, {len(ids)} tokens\n")


if __name__ == "__main__":
    main(
        vocabulary=int(snakemake.wildcards["vocabulary"]),
        log=snakemake.log[0],
        **snakemake.input,
        **snakemake.output,
        **snakemake.params,
    )
