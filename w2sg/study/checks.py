"""What a schema cannot say of a configuration: names that refer to other sections, and values that must fit one another.

Read whenever the Snakefile is parsed: only the standard library is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from w2sg.study.pretraining import Architecture, PretrainingSettings

READ_SPLIT = "pair"
"""The split of the probe that summary, correlations and figures read."""


def cross_checks(config: Mapping[str, Any]) -> Iterator[str]:
    """Yields a line per mistake: key, value, and what is allowed.

    Args:
        config: A configuration that fulfils the schema, with sound entries of ``corpora`` and ``datasets``.
    """
    yield from _check_names(config)
    for name, model in config["models"].items():
        if model["source"] == "pretrain":
            yield from _check_pretraining(f"models.{name}", model)
    seeds = config["heads"]["seeds"]
    if len(set(seeds)) != len(seeds):
        yield f"heads.seeds: {seeds} repeats a value"
    if READ_SPLIT not in config["probe"]["splits"]:
        splits = config["probe"]["splits"]
        yield f"probe.splits: got {splits}, {READ_SPLIT!r} must be one of them; statistics read the pair split"
    yield from _check_sizes(config)
    yield from _check_layers(config)


def _check_names(config: Mapping[str, Any]) -> Iterator[str]:
    named = [(f"sweep.{kind}", kind, config["sweep"][kind]) for kind in ("families", "datasets")]
    for place, kind, names in [*named, ("banded", "families", config.get("banded", []))]:
        for name in names:
            if name not in config[kind]:
                yield f"{place}: no entry {name!r} in {kind}; there are: {', '.join(sorted(config[kind]))}"
    references = [(f"datasets.{n}.corpus", d["corpus"]) for n, d in config["datasets"].items() if "corpus" in d]
    references += [(f"models.{n}.corpus", m["corpus"]) for n, m in config["models"].items() if "corpus" in m]
    references.append(("evaluation.corpus", config["evaluation"]["corpus"]))
    for place, corpus in references:
        if corpus not in config["corpora"]:
            yield f"{place}: no corpus {corpus!r}; corpora are: {', '.join(sorted(config['corpora']))}"


def _check_pretraining(place: str, model: Mapping[str, Any]) -> Iterator[str]:
    """The training's own checks, which would otherwise speak only once its tokenizer is made."""
    for section, settings in (("architecture", Architecture), ("pretraining", PretrainingSettings)):
        try:
            settings(**model[section])
        except ValueError as error:
            yield f"{place}.{section}.{error}"


def _check_sizes(config: Mapping[str, Any]) -> Iterator[str]:
    """Parts of a split that would be empty; files need not say how many pairs they hold."""
    folds, share = config["heads"]["converged"]["folds"], config["probe"]["test_fraction"]
    for name in config["sweep"]["datasets"]:
        pairs = config["datasets"].get(name, {}).get("pairs")
        if pairs is None:
            continue
        if folds > pairs:
            yield f"heads.converged.folds: got {folds}, allowed: at most {pairs}, which is datasets.{name}.pairs"
        tested = round(pairs * share)
        if not 0 < tested < pairs:
            yield (
                f"probe.test_fraction: got {share}, which is {tested} of the {pairs} pairs of datasets.{name}; "
                f"allowed: a share that leaves a pair in both parts, such as {1 / pairs:.2g} to {1 - 1 / pairs:.2g}"
            )


def _check_layers(config: Mapping[str, Any]) -> Iterator[str]:
    """Layers that a model lacks or that are named twice, where the depth is known: of models that are trained here."""
    layers: str | Sequence[int] = config["activations"]["layers"]
    if isinstance(layers, str):
        return
    swept = [config["families"][name]["strong"] for name in config["sweep"]["families"] if name in config["families"]]
    for name in dict.fromkeys(swept):
        depth = config["models"].get(name, {}).get("architecture", {}).get("num_hidden_layers")
        if depth is None:
            continue
        missing = [index for index in layers if not -(depth + 1) <= index <= depth]
        places = [index % (depth + 1) for index in layers]
        if missing:
            yield f"activations.layers: got {missing}, allowed: 0 to {depth}, the layers of models.{name}"
        elif len(set(places)) < len(places):
            yield f"activations.layers: {list(layers)} names a layer of models.{name} twice; negative ones count from {depth}"
