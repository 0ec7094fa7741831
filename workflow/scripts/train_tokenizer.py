"""Reads a corpus's training documents, trains the tokenizer on them, writes it and their tokens."""

from typing import TYPE_CHECKING

from w2sg import runtime, tables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(*, documents: str, vocabulary: int, tokenizer: str, tokens: str, log: str) -> None:
    with runtime.log_to(log) as lines:
        from w2sg import pretraining_data
        from w2sg.corpora import DOCUMENTS
        from w2sg.tokenizer import encode, train_tokenizer

        texts = pretraining_data.select_documents(tables.read_table(documents, DOCUMENTS), "train")
        trained = train_tokenizer(texts, vocabulary=vocabulary)
        ids = encode(trained, texts)
        with runtime.atomic_path(tokenizer) as path:
            trained.save(str(path))
        pretraining_data.write_tokens(ids, tokens)
        lines.write(f"{len(texts)} documents, {trained.get_vocab_size()} entries, {len(ids)} tokens\n")


if __name__ == "__main__":
    main(
        documents=snakemake.input["documents"],
        vocabulary=int(snakemake.wildcards["vocabulary"]),
        tokenizer=snakemake.output["tokenizer"],
        tokens=snakemake.output["tokens"],
        log=snakemake.log[0],
    )
