"""A corpus whose words tell where they come from, and entries of the configuration that make pairs of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from w2sg.data.sources import load_checked

LABELS = ("comp.one", "comp.two", "rec.three", "soc.four")
TOPIC = {
    "source": "corpus",
    "corpus": "c",
    "task": "topic",
    "chosen": ["comp.*"],
    "rejected": ["rec.three", "soc.*"],
    "pairs": 20,
}
ORDER = {"source": "corpus", "corpus": "c", "task": "order", "pairs": 20}


def documents(seed: int = 0, n: int = 240) -> pd.DataFrame:
    """Posts whose words tell post and place, so windows can be traced; every tenth quotes the one before."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        words = [f"d{i}w{j}" for j in range(int(rng.integers(10, 140)))]
        cluster = f"pair_texts-{i:04d}"
        if i % 10 == 1 and rows:
            words[:60] = rows[-1]["text"].split()[:60]
            cluster = rows[-1]["cluster"]
        rows.append(
            {
                "doc_id": f"pair_texts-{i:04d}",
                "label": LABELS[i % 4],
                "cluster": cluster,
                "text": " ".join(words),
            }
        )
    frame = pd.DataFrame(rows).assign(part="pair_texts")
    other = [
        {
            "doc_id": f"train-{i:04d}",
            "label": LABELS[i % 4],
            "cluster": f"train-{i:04d}",
            "text": f"t{i} " * 50,
            "part": part,
        }
        for i, part in enumerate(["train"] * 20 + ["heldout"] * 5)
    ]
    return pd.concat([frame, pd.DataFrame(other)], ignore_index=True)


def load_pairs(spec: dict[str, Any], *, name: str, documents: pd.DataFrame | None = None) -> pd.DataFrame:
    """The pairs of an entry, without the report of the checks."""
    return load_checked(spec, name=name, documents=documents).pairs
