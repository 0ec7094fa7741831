"""Reads tokenizer and tokens, pre-trains one model or continues it, writes its revisions and their list."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg.runtime import jobs, machine
from w2sg.runtime.files import atomic_path
from w2sg.study import definitions
from w2sg.study.families import PretrainedModel
from w2sg.study.fields import read
from w2sg.tables import origins

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *, name: str, tokenizer: str, tokens: str, model: Mapping[str, Any], root: str, origin: str, recipe: int, log: str
) -> None:
    with jobs.log_to(log):
        from tokenizers import Tokenizer

        from w2sg.pretraining.pretrain import pretrain
        from w2sg.pretraining.tokens import read_tokens

        machine.keep_memory()
        entry = read(PretrainedModel, model, ("models", name))
        pretrain(
            ids=read_tokens(tokens),
            tokenizer=Tokenizer.from_file(tokenizer),
            architecture=entry.architecture,
            settings=entry.pretraining,
            root=Path(root),
            recipe=recipe,
            label=name,
        )
        own = {f"models.{name}": definitions.identity(model), "recipes.PRETRAINING": recipe}
        with atomic_path(origin) as path:
            path.write_text(json.dumps(origins.trace("pretrain_family", own, [tokens]), sort_keys=True, indent=1))


if __name__ == "__main__":
    main(
        name=snakemake.wildcards["model"],
        tokenizer=snakemake.input["tokenizer"],
        tokens=snakemake.input["tokens"],
        root=str(Path(snakemake.output["manifest"]).parent),
        origin=snakemake.output["origin"],
        log=snakemake.log[0],
        **snakemake.params,
    )
