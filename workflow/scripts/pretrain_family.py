"""Reads tokenizer and tokens, pre-trains one model or continues it, writes its revisions and their list."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg.runtime import jobs, machine

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    name: str,
    tokenizer: str,
    tokens: str,
    model: Mapping[str, Any],
    manifest: str,
    state: str,
    recipe: int,
    log: str,
) -> None:
    with jobs.log_to(log):
        from tokenizers import Tokenizer

        from w2sg.pretraining.pretrain import pretrain
        from w2sg.pretraining.state import write_manifest
        from w2sg.pretraining.tokens import read_tokens
        from w2sg.study.pretraining import read_settings

        machine.keep_memory()
        architecture, settings = read_settings(model)
        made = pretrain(
            ids=read_tokens(tokens),
            tokenizer=Tokenizer.from_file(tokenizer),
            architecture=architecture,
            settings=settings,
            root=Path(manifest).parent,
            state_folder=Path(state),
            recipe=recipe,
            label=name,
        )
        write_manifest(Path(manifest), made.records, tokens_per_step=settings.tokens_per_step, dtype=made.dtype)


if __name__ == "__main__":
    main(
        name=snakemake.wildcards["model"],
        tokenizer=snakemake.input["tokenizer"],
        tokens=snakemake.input["tokens"],
        model=snakemake.params["model"],
        manifest=snakemake.output["manifest"],
        state=f"{Path(snakemake.output['manifest']).parent}/.state",
        recipe=snakemake.params["recipe"],
        log=snakemake.log[0],
    )
