"""What one extraction job does with a loaded revision: features of every dataset, and its evaluation loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from w2sg.activations.features import Features, place_sides, write_features
from w2sg.activations.forward import evaluation_loss, extract_states, layer_indices
from w2sg.activations.models import LoadedModel, context_of, packing_fault
from w2sg.activations.tokens import read_pairs
from w2sg.data.corpora import select_documents
from w2sg.revisions.facts.descriptions import deciding_settings, describe_folder
from w2sg.runtime.jobs import Progress
from w2sg.study.datasets import least_pairs
from w2sg.study.protocols import SPLITS
from w2sg.study.sections import Activations
from w2sg.tables.files import read_table
from w2sg.tables.schemas import DOCUMENTS, PAIRS

CPU_ROWS = 2048
"""Rows of a forward pass beyond which a CPU gets slower: what one layer leaves no longer fits into its cache."""


class Settings(Activations):
    """How forward passes are run: section ``activations``, with the model's own type."""

    dtype: str
    """Compute and storage type."""

    def rows(self, device: torch.device) -> int:
        """Returns the rows of a forward pass: ``batch_tokens``, on a CPU at most :data:`CPU_ROWS`."""
        return min(self.batch_tokens, CPU_ROWS) if device.type == "cpu" else self.batch_tokens


def check_config(config: Any, settings: Settings, *, name: str) -> str:
    """Returns why packed rows do not fit a revision, as far as its configuration tells: before its weights are read.

    Args:
        config: The revision's configuration.
        settings: How forward passes are run.
        name: Model and revision, for messages.

    Raises:
        ValueError: If a wanted layer is outside the model.
        UnsupportedModel: If its texts cannot be run at this length.
    """
    text = config.get_text_config()
    blocks = getattr(text, "num_hidden_layers", None)
    if blocks is not None:
        layer_indices(settings.layers, blocks, model=name)
    return packing_fault(config, longest=min(settings.max_tokens, context_of(config)))


def reading(folder: Path, config: Any) -> dict[str, Any]:
    """Returns what decides a revision's numbers besides its weights: the hash of its tokenizer, and its settings.

    Settings are those that the library knows of this type, so that files of several of its versions compare.
    """
    known = type(config)().to_dict()
    settings = deciding_settings({key: value for key, value in config.to_dict().items() if key in known})
    return {"tokenizer": describe_folder(folder).tokenizer, "config": settings}


def read_frames(paths: Mapping[str, str], *, test_fraction: float) -> dict[str, pd.DataFrame]:
    """Returns the pairs of each dataset, which are enough for heads; these would ask for more only after all extractions.

    Raises:
        ValueError: Naming dataset and split, if one has too few.
    """
    frames, least = {name: read_table(path, PAIRS) for name, path in paths.items()}, least_pairs(test_fraction)
    for name, frame in frames.items():
        for split in SPLITS:
            if (found := int((frame["split"] == split).sum())) < least:
                text = f"split {split} has {found} pairs, at least {least} are needed to fit heads; use a larger source"
                raise ValueError(f"dataset {name}: {text}")
    return frames


def evaluation_texts(path: str, *, documents_wanted: int) -> list[str]:
    """Returns held-out documents of a corpus, evenly spaced over their sorted ids, so that no group is left out.

    Raises:
        ValueError: If the corpus has fewer than wanted; the message gives both numbers.
    """
    texts = select_documents(read_table(path, DOCUMENTS), "heldout")
    if len(texts) < documents_wanted:
        raise ValueError(
            f"evaluation.documents: {documents_wanted} wanted, {path} holds {len(texts)} held-out documents"
        )
    return [texts[position * len(texts) // documents_wanted] for position in range(documents_wanted)]


def measure_loss(model: LoadedModel, texts: Sequence[str], *, settings: Settings, name: str) -> list[dict[str, Any]]:
    """Returns the metric rows of the evaluation loss: nats per token and bits per byte.

    Args:
        model: The loaded revision.
        texts: Held-out documents.
        settings: How forward passes are run.
        name: Model, revision and corpus, for messages.

    Raises:
        ValueError: If there is nothing to predict, or the loss is not finite.
    """
    window = min(settings.max_tokens, model.context)
    try:
        loss = evaluation_loss(model, texts, window=window, batch_tokens=settings.rows(model.device))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    keys = {"layer": -1, "head": "model", "protocol": "language_model", "setting": f"window={window}", "seed": 0}
    nats, bits, half = loss.nats_per_token, loss.bits_per_byte, 1.96 * loss.standard_error
    return [
        keys | {"metric": name, "value": value, "low": value - width, "high": value + width, "n": loss.tokens}
        for name, value, width in (("nats_per_token", nats, half), ("bits_per_byte", bits, half * (bits / nats)))
    ]


def write_all_features(
    model: LoadedModel,
    frames: Mapping[str, pd.DataFrame],
    *,
    outputs: Mapping[str, str],
    entries: Mapping[str, Mapping[str, Any]],
    settings: Settings,
    keys: Mapping[str, str],
    origins: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Writes one feature file per dataset from one loaded model.

    Args:
        model: The loaded revision.
        frames: Pairs per dataset, with columns row_id, prompt, chosen, rejected.
        outputs: Feature file per dataset.
        entries: Entry of each dataset: how its texts are made, and its pool.
        settings: How forward passes are run.
        keys: Metadata of all files: model, revision, commit, and what :func:`reading` says.
        origins: Origin of each dataset's file.

    Returns:
        What was read of each dataset (:attr:`w2sg.activations.tokens.ReadPairs.facts`).

    Raises:
        ValueError: Naming model, revision, dataset and row, if a text cannot be made or hidden states are not finite.
    """
    name = f"{keys['model']} {keys['revision']}"
    layers = layer_indices(settings.layers, model.depth, model=name)
    limit = min(settings.max_tokens, model.context)
    read = {}
    for dataset, frame in frames.items():
        try:
            read[dataset] = read_pairs(model.tokenizer, frame, entries[dataset], max_tokens=limit)
            model.check_used(read[dataset].ids)
        except ValueError as error:
            raise ValueError(f"{name}, datasets.{dataset}: {error}") from None
        facts = read[dataset].facts
        print(
            f"{name}, {dataset}: the first text is {facts['example']!r}, ids {facts['first_ids']} ... {facts['last_ids']}"
        )
        if same := read[dataset].same:
            print(f"{name}, {dataset}: both sides of {same} of {len(frame)} pairs are the same token ids")
        for side in ("chosen", "rejected"):
            if share := facts[f"cut_{side}"]:
                print(f"{name}, {dataset}: {share:.0%} of the {side} texts lose their beginning at {limit} tokens")
    total = sum(len(row) for one in read.values() for row in one.ids)
    progress = Progress(f"extract {name}", total, "tokens")
    options: Any = {"layers": layers, "batch_tokens": settings.rows(model.device), "on_batch": progress.update}
    for dataset, one in read.items():
        pool = entries[dataset].get("pool", "last")
        n, row_ids = len(frames[dataset]), frames[dataset]["row_id"].to_numpy(dtype=str)
        try:
            states = extract_states(model, one.ids, pool=pool, **options)
        except FloatingPointError as error:
            position = int(np.flatnonzero(one.lengths)[int(error.args[0])])
            side = "chosen" if position < n else "rejected"
            raise ValueError(
                f"{name}: hidden states of dataset {dataset}, row {row_ids[position % n]} "
                f"({side}) are not finite; the revision is broken, or {settings.dtype} is too narrow"
            ) from None
        metadata = {
            **keys,
            **origins[dataset],
            "dataset": dataset,
            "pool": pool,
            "max_tokens": limit,
            "read": one.facts,
        }
        given = {"row_ids": row_ids, "tokens": one.lengths, "layers": layers, "metadata": metadata}
        both = place_sides(states, one.lengths)
        features = Features(chosen=both[:, :n], rejected=both[:, n:], **given)
        write_features(outputs[dataset], features, dtype=settings.dtype)
        del states, both, features  # before the next dataset's take as much again
    return {dataset: one.facts for dataset, one in read.items()}
