"""Opening a revision and loading its model: the only module that knows model classes, dtypes and weight files."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

WEIGHT_PATTERNS = ("*.safetensors", "*.bin")
"""Weight files by preference: one format is used, safetensors where a revision has it."""


class RevisionError(RuntimeError):
    """A revision that is missing, incomplete or not what was published."""


@dataclass(frozen=True, kw_only=True)
class RevisionFolder:
    """A revision on disk, ready to load."""

    path: Path
    """Folder with config, tokenizer and weights."""
    commit: str
    """What identifies the content: the Hub's commit hash, or ``sha256:`` and the hash of the weight files."""


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A causal language model without gradients, taken apart as far as extraction needs."""

    decoder: torch.nn.Module
    """The model without its output embedding; maps token ids to final hidden states after the final norm."""
    blocks: tuple[torch.nn.Module, ...]
    """The transformer blocks in order; block i's output is hidden state i + 1, the last one's before the norm."""
    embedding: torch.nn.Module
    """The input embedding; its output is hidden state 0."""
    output: torch.nn.Module
    """The output embedding, which maps final hidden states to logits."""
    tokenizer: Any
    """The fast tokenizer of the revision."""
    context: int
    """Largest number of positions the model was built for, in tokens."""
    device: torch.device
    """Where the weights are."""


@contextlib.contextmanager
def open_revision(
    model: Mapping[str, Any], revision: str, *, name: str, root: Path, scratch: Path
) -> Iterator[RevisionFolder]:
    """Yields the folder of one revision; a downloaded one is deleted when the block ends, however it ends.

    Args:
        model: The model's entry in ``models``.
        revision: Name of the revision.
        name: Name of the model, for messages.
        root: Folder of the model's own revisions (``source: pretrain``).
        scratch: Where downloads are kept meanwhile.

    Yields:
        The folder and its identity.

    Raises:
        RevisionError: If the folder is missing or its weights differ from what was published.
    """
    if model["source"] == "hub":
        target = scratch / name / f"{revision}.{os.uname().nodename}.{os.getpid()}"
        try:
            yield _download(model["repo"], revision, target)
        finally:
            shutil.rmtree(target, ignore_errors=True)
        return
    folder = (root if model["source"] == "pretrain" else Path(model["path"])) / revision
    identity = f"sha256:{hash_weights(folder)}"
    if model["source"] == "pretrain":
        _check_published(root / "manifest.tsv", folder, revision)
    yield RevisionFolder(path=folder, commit=identity)


def _download(repo: str, revision: str, target: Path) -> RevisionFolder:
    from huggingface_hub import HfApi, snapshot_download

    info = HfApi().model_info(repo, revision=revision, files_metadata=True)
    names = [sibling.rfilename for sibling in info.siblings or []]
    weights = "*.safetensors" if any(n.endswith(".safetensors") for n in names) else "*.bin"
    snapshot_download(
        repo,
        revision=info.sha,
        local_dir=target,
        allow_patterns=["*.json", "*.txt", "*.model", weights],
    )
    return RevisionFolder(path=target, commit=str(info.sha))


def weight_files(folder: Path) -> list[Path]:
    """Returns the weight files of a revision in one format, sorted by name.

    Raises:
        RevisionError: If the folder is missing or holds no weights.
    """
    for pattern in WEIGHT_PATTERNS:
        found = sorted(folder.glob(pattern))
        if found:
            return found
    kind = "holds no weight files" if folder.is_dir() else "does not exist"
    raise RevisionError(
        f"revision folder {folder} {kind} (looked for {' or '.join(WEIGHT_PATTERNS)}). If the workflow trained this model, "
        "delete manifest.tsv beside the folder and run snakemake again: only what is missing is made anew."
    )


def hash_weights(folder: Path) -> str:
    """Returns the SHA-256 of a folder's weight files: of the file if there is one, else of their hashes in name order."""
    digests = []
    for path in weight_files(folder):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _check_published(manifest: Path, folder: Path, revision: str) -> None:
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = {row["revision"]: row for row in csv.DictReader(file, delimiter="\t")}
    if revision not in rows:
        raise RevisionError(f"{manifest} lists no revision {revision!r}; it has {', '.join(rows)}")
    if rows[revision]["sha256"] != hash_weights(folder):
        raise RevisionError(
            f"weights in {folder} are not those that {manifest} lists (SHA-256 differs); "
            f"delete {manifest.name} and run snakemake again to make them anew"
        )


def load_model(folder: Path, *, dtype: str, device: str) -> LoadedModel:
    """Returns a revision's model on a device, in evaluation mode, with its tokenizer.

    No remote code is run and no pickle is executed: weights are safetensors, or ``.bin`` files read with
    ``weights_only``.

    Args:
        folder: Hugging Face folder (config, tokenizer, weights).
        dtype: Compute type, ``float32`` or ``bfloat16``.
        device: ``cpu`` or ``cuda``.

    Raises:
        RevisionError: If a weight is missing or left over, or the tokenizer is not a fast one.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=getattr(torch, dtype),
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
    )
    model, report = loaded
    wrong = {key: sorted(report[key]) for key in ("missing_keys", "mismatched_keys") if report.get(key)}
    if wrong:
        raise RevisionError(f"weights in {folder} do not fit {type(model).__name__}: {wrong}")
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if not tokenizer.is_fast:
        raise RevisionError(f"{folder}: a fast tokenizer is needed (tokenizer.json), found {type(tokenizer).__name__}")
    model.eval().requires_grad_(False).to(device)
    decoder = model.base_model
    blocks = next((getattr(decoder, key) for key in ("layers", "h", "blocks") if hasattr(decoder, key)), None)
    if blocks is None:
        raise RevisionError(f"{folder}: no list of transformer blocks in {type(decoder).__name__}")
    return LoadedModel(
        decoder=decoder,
        blocks=tuple(blocks),
        embedding=model.get_input_embeddings(),
        output=model.get_output_embeddings(),
        tokenizer=tokenizer,
        context=int(getattr(model.config, "max_position_embeddings", 1 << 30)),
        device=torch.device(device),
    )


def pick_device(wanted: str) -> str:
    """Returns ``cpu`` or ``cuda``; ``auto`` is the GPU where there is one.

    Raises:
        RuntimeError: If ``cuda`` is asked for and there is none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("activations.device is cuda, but PyTorch sees no GPU here; set it to auto or cpu")
    return ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
