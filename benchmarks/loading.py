"""Memory while a revision is loaded: the model in the compute type, and no second copy of it beside.

Each case is a random model saved as it is published (format, type of the stored numbers) and loaded in a fresh process
that has loaded a tiny one before. Anonymous memory is the process's own; pages of mapped files can be dropped at any time
and are counted apart.

    python -m benchmarks.loading                  # writes benchmarks/results/loading.tsv, about two minutes
    python -m benchmarks.loading --device cuda    # one revision at the shape of pythia-6.9b; loading.cuda.tsv
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.machine import describe, save

STATUS = Path("/proc/self/status")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One published revision and the type in which it is computed with."""

    architecture: str
    """``gpt_neox``, ``olmo``, or ``hf_olmo``, the old format of the latter."""
    weights: str
    """``safetensors`` or ``bin``."""
    stored: str
    """Type of the numbers in the files."""
    compute: str = "bfloat16"
    """Type of the loaded model."""
    width: int = 1024
    """Hidden size."""
    layers: int = 12
    """Transformer blocks."""
    vocabulary: int = 50304
    """Tokens."""
    device: str = "cpu"
    """Where the model is made and loaded."""


CASES = [
    Case(architecture=architecture, weights=weights, stored=stored)
    for architecture, stored in (("gpt_neox", "float16"), ("olmo", "float32"), ("hf_olmo", "float32"))
    for weights in ("safetensors", "bin")
]
GPU_CASES = [
    Case(architecture="gpt_neox", weights="safetensors", stored="float16", width=4096, layers=32, device="cuda")
]


def build(case: Case, folder: Path) -> int:
    """Saves the case's model with random weights; returns the number of its parameters."""
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, OlmoConfig, OlmoForCausalLM

    from tests import tiny

    sizes: dict[str, Any] = {
        "hidden_size": case.width, "num_hidden_layers": case.layers, "num_attention_heads": 8,
        "intermediate_size": 4 * case.width, "vocab_size": case.vocabulary, "max_position_embeddings": 128,
    }  # fmt: skip
    torch.manual_seed(0)
    with torch.device(case.device):
        made: Any = (
            GPTNeoXForCausalLM(GPTNeoXConfig(**sizes))
            if case.architecture == "gpt_neox"
            else OlmoForCausalLM(OlmoConfig(**sizes, pad_token_id=0))
        )
    made.to(getattr(torch, case.stored))
    made.config.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    state = made.state_dict()
    if case.architecture == "hf_olmo":
        state = tiny.old_olmo_weights(state, layers=case.layers)
        tiny.save_old_olmo_config(folder, sizes)
    tiny.save_weights(state, folder, kind=case.weights)
    return sum(parameter.numel() for parameter in made.parameters())


def _resident() -> tuple[int, int]:
    """Anonymous and file-mapped bytes of this process that are in memory."""
    found = dict(re.findall(r"^(RssAnon|RssFile):\s+(\d+) kB", STATUS.read_text(encoding="utf-8"), re.MULTILINE))
    return int(found["RssAnon"]) << 10, int(found["RssFile"]) << 10


class _Peak(threading.Thread):
    """The largest resident sizes while it runs, looked at every two milliseconds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.anonymous, self.mapped = _resident()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.002):
            anonymous, mapped = _resident()
            self.anonymous, self.mapped = max(self.anonymous, anonymous), max(self.mapped, mapped)


def _load(folder: str, warm: str, compute: str, device: str, results: Any) -> None:
    import torch

    from w2sg.activations.models import load_model

    load_model(Path(warm), dtype=compute, device=device)
    before, peak = _resident(), _Peak()
    peak.start()
    started = time.perf_counter()
    model = load_model(Path(folder), dtype=compute, device=device)
    seconds = time.perf_counter() - started
    peak.over.set()
    peak.join()
    kinds = {str(parameter.dtype).removeprefix("torch.") for parameter in model.decoder.parameters()}
    facts = {"kinds": kinds, "seconds": seconds, "gpu": torch.cuda.max_memory_allocated() if device == "cuda" else 0}
    results.put(facts | {"anonymous": peak.anonymous - before[0], "mapped": peak.mapped - before[1]})


def measure(case: Case) -> dict[str, Any]:
    """Returns sizes in MB of a case's model and of the memory that loading it took at most, and the seconds."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder, warm = Path(name, "model"), Path(name, "tiny")
        folder.mkdir()
        warm.mkdir()
        build(replace(case, width=16, layers=1, vocabulary=320), warm)
        parameters = build(case, folder)  # a large one is on the GPU still, beside what is loaded
        stored = sum(path.stat().st_size for path in folder.iterdir())
        results = context.Queue()
        process = context.Process(target=_load, args=(str(folder), str(warm), case.compute, case.device, results))
        process.start()
        found = results.get(timeout=300)
        process.join()
    assert found["kinds"] == {case.compute}
    size = parameters * {"bfloat16": 2, "float16": 2, "float32": 4}[case.compute]
    return {
        "architecture": case.architecture,
        "weights": case.weights,
        "stored": case.stored,
        "compute": case.compute,
        "file_mb": stored / 1e6,
        "model_mb": size / 1e6,
        "peak_own_mb": found["anonymous"] / 1e6,
        "peak_own_over_model": found["anonymous"] / size,
        "peak_mapped_mb": found["mapped"] / 1e6,
        "peak_gpu_mb": found["gpu"] / 1e6,
        "seconds": found["seconds"],
    }


def main() -> None:
    """Measures every case and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    gpu = parser.parse_args().device == "cuda"
    rows = [measure(case) for case in (GPU_CASES if gpu else CASES)]
    machine, command = describe(["torch", "transformers", "safetensors"]), "python -m benchmarks.loading"
    if gpu:
        import torch

        machine, command = f"{machine}, {torch.cuda.get_device_name()}", f"{command} --device cuda"
    save(pd.DataFrame(rows), "loading.cuda" if gpu else "loading", machine=machine, command=command)


if __name__ == "__main__":
    main()
