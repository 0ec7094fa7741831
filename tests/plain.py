"""The metrics of a revision once more, in plain numpy, scikit-learn and transformers: no code of the package is used here.

The random streams are those that the documents name: PCG64 of a seed deals batches, PCG64 of [seed, k] the coin (1), the folds (3)
and the probe's split (4).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from transformers import AutoModelForCausalLM, AutoTokenizer


def stream(seed: int, *which: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, *which] if which else seed))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


class Model:
    """A revision, read by transformers alone, in float32."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.context = self.model.config.max_position_embeddings

    def states(self, texts: list[str], *, pool: str, longest: int) -> np.ndarray:
        """Returns the state after the final norm, (n, d); of a text that is too long its end is read."""
        rows = []
        for text in texts:
            ids = self.tokenizer(text)["input_ids"]
            limit = min(longest, self.context)
            if len(ids) > limit:
                kept = [ids[0]] if ids[0] == self.tokenizer.bos_token_id else []
                ids = kept + ids[len(ids) - limit + len(kept) :]
            with torch.no_grad():
                states = self.model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]
            rows.append((states[-1] if pool == "last" else states.mean(0)).numpy())
        return np.stack(rows).astype(np.float64)

    def loss(self, texts: list[str], *, window: int) -> float:
        """Returns the mean next-token cross-entropy in nats, of windows that do not overlap."""
        total, count = 0.0, 0
        for text in texts:
            ids = self.tokenizer(text)["input_ids"]
            for start in range(0, len(ids), window):
                part = torch.tensor([ids[start : start + window]])
                if part.shape[1] > 1:
                    with torch.no_grad():
                        logits = self.model(part).logits[0, :-1].double()
                    total += torch.nn.functional.cross_entropy(logits, part[0, 1:], reduction="sum").item()
                    count += part.shape[1] - 1
        return total / count


def paper_head(difference: np.ndarray, target: np.ndarray, *, seed: int, rates: list[float], batch: int) -> np.ndarray:
    """Returns w, (d,): one epoch of Adam on soft labels at each rate; the least loss on batches not yet seen decides."""
    n, d = difference.shape
    sign = np.where(stream(seed, 1).random(n) < 0.5, -1.0, 1.0)
    label = np.where(sign < 0, 1 - target, target)
    order, steps = stream(seed).permutation(n), -(-n // batch)
    trained, losses = [], []
    for rate in rates:
        w, mean, square, held = np.zeros(d), np.zeros(d), np.zeros(d), []
        for step in range(steps):
            rows = order[step * batch : (step + 1) * batch]
            x, y = difference[rows] * sign[rows, None], label[rows]
            logits = x @ w
            if step >= steps // 2:
                held += list(np.logaddexp(0, logits) - y * logits)
            gradient = x.T @ (sigmoid(logits) - y) / len(rows)
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient**2
            now = rate * 0.5 * (1 + np.cos(np.pi * step / steps))
            w = w - now * (mean / (1 - 0.9 ** (step + 1))) / (np.sqrt(square / (1 - 0.999 ** (step + 1))) + 1e-8)
        trained.append(w)
        losses.append(np.mean(held))
    return trained[int(np.argmin(losses))]


def logistic(x: np.ndarray, p: np.ndarray, penalty: float, *, intercept: bool = False) -> tuple[np.ndarray, float]:
    """Returns the fit to soft labels, each row given with both labels and their probabilities as weights."""
    scale = x.std(0) if intercept else np.sqrt((x**2).mean(0))
    scale = np.where(scale > 1e-6, scale, 1.0)
    centre = x.mean(0) if intercept else 0.0
    z = np.concatenate([(x - centre) / scale] * 2)
    weights, labels = np.concatenate([p, 1 - p]), np.repeat([1, 0], len(p))
    fit = LogisticRegression(C=1 / (penalty * len(p)), fit_intercept=intercept, tol=1e-10, max_iter=10_000)
    fit.fit(z, labels, sample_weight=weights)
    w = fit.coef_[0] / scale
    return w, float(fit.intercept_[0] - w @ centre) if intercept else 0.0


def converged_head(
    difference: np.ndarray, target: np.ndarray, *, seed: int, penalties: list[float], folds: int
) -> np.ndarray:
    """Returns w, (d,), with the penalty of the least held-out log loss."""
    n = len(difference)
    fold = stream(seed, 3).permutation(n) % folds
    losses = []
    for penalty in penalties:
        margins = np.empty(n)
        for part in range(folds):
            held = fold == part
            margins[held] = difference[held] @ logistic(difference[~held], target[~held], penalty)[0]
        losses.append(np.mean(np.logaddexp(0, margins) - target * margins))
    return logistic(difference, target, penalties[int(np.argmin(losses))])[0]


def probe(chosen: np.ndarray, rejected: np.ndarray, *, seed: int, penalty: float, share: float) -> dict[str, float]:
    """Returns the metrics of a logistic regression on single texts, tested on the texts of unseen pairs."""
    n = len(chosen)
    tested = np.isin(np.arange(n), stream(seed, 4).permutation(n)[: round(share * n)])
    texts, label = np.concatenate([chosen, rejected]), np.repeat([1.0, 0.0], n)
    held = np.tile(tested, 2)
    w, offset = logistic(texts[~held], label[~held], penalty, intercept=True)
    logits, truth = texts[held] @ w + offset, label[held]
    signed = np.where(truth == 1, logits, -logits)
    return {
        "accuracy": np.mean(0.5 * (1 + np.sign(signed))),
        "auroc": roc_auc_score(truth, logits),
        "log_loss": np.mean(np.logaddexp(0, -signed)),
    }


def metrics(margin: np.ndarray, weak: np.ndarray | None = None, ceiling: np.ndarray | None = None) -> dict[str, Any]:
    """Returns the metrics of margins s(chosen) - s(rejected), every pair seen in both orders."""
    right = 0.5 * (1 + np.sign(margin))
    confidence = sigmoid(np.abs(margin))
    place = np.minimum(((confidence - 0.5) * 20).astype(int), 9)
    bins = [np.abs(np.sum((right - confidence)[place == b])) for b in range(10)]
    found = {
        "accuracy": right.mean(),
        "auroc": roc_auc_score(np.repeat([1, 0], len(margin)), np.concatenate([margin, -margin])),
        "log_loss": np.mean(np.logaddexp(0, -margin)),
        "ece": sum(bins) / len(margin),
    }
    if weak is not None:
        found["gain"] = found["accuracy"] - np.mean(0.5 * (1 + np.sign(weak)))
        found["agreement"] = np.mean(0.5 * (1 + np.sign(margin) * np.sign(weak)))
    if ceiling is not None:
        gap = np.mean(0.5 * (1 + np.sign(ceiling))) - np.mean(0.5 * (1 + np.sign(weak)))
        found["pgr"] = found["gain"] / gap if gap > 0 else np.nan
    return found
