"""Declared tables of the sweep branch; results/README.md is their prose twin."""

from __future__ import annotations

import pyarrow as pa

from w2sg.study.protocols import FIELDS
from w2sg.tables.files import TableSchema

DOCUMENTS = TableSchema(
    name="documents",
    fields=pa.schema(
        [pa.field(name, pa.string(), nullable=False) for name in ("doc_id", "part", "label", "cluster", "text")]
    ),
    keys=("doc_id",),
)
"""Documents of a corpus. ``part``: train, heldout (evaluation loss) or pair_texts (pairs).

``cluster`` is the same for pair texts that near-duplicate each other, such as two replies that
quote the same post: the smallest doc_id among them.
"""

PAIRS = TableSchema(
    name="pairs",
    fields=pa.schema(
        [
            *(pa.field(name, pa.string(), nullable=False) for name in ("dataset", "split", "row_id")),
            pa.field("position", pa.int64(), nullable=False),
            *(pa.field(name, pa.string(), nullable=False) for name in FIELDS),
        ]
    ),
    keys=("dataset", "split", "row_id"),
)
"""Pairs of a dataset. ``position`` counts from 0 in the order of the source, within a split."""


def _text(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.string(), nullable=False) for name in names]


_ESTIMATE = [
    pa.field("value", pa.float64(), nullable=True),
    pa.field("low", pa.float64(), nullable=True),
    pa.field("high", pa.float64(), nullable=True),
    pa.field("n", pa.int64(), nullable=False),
]
_HEAD = [
    pa.field("layer", pa.int64(), nullable=False),
    *_text("head", "protocol", "setting"),
    pa.field("seed", pa.int64(), nullable=False),
    *_text("metric"),
]
_HEAD_KEYS = ("dataset", "layer", "head", "protocol", "setting", "seed", "metric")

RESULTS = TableSchema(
    name="results",
    fields=pa.schema([*_text("model", "revision", "commit", "dataset"), *_HEAD, *_ESTIMATE]),
    keys=("model", "revision", *_HEAD_KEYS),
)
"""Metrics of one revision: heads and probes on a dataset, or its evaluation loss."""

METRICS = TableSchema(
    name="metrics",
    fields=pa.schema(
        [
            *_text("family", "model", "revision"),
            pa.field("step", pa.int64(), nullable=False),
            pa.field("tokens", pa.float64(), nullable=False),
            *_text("commit", "weak", "weak_revision", "dataset"),
            *_HEAD,
            *_ESTIMATE,
        ]
    ),
    keys=("family", "step", "model", "revision", *_HEAD_KEYS),
)
"""All metrics of a study; ``tokens`` in billions."""

LABELS = TableSchema(
    name="weak_labels",
    fields=pa.schema(
        [
            *_text("protocol"),
            pa.field("seed", pa.int64(), nullable=False),
            *_text("split", "row_id"),
            pa.field("swapped", pa.bool_(), nullable=False),
            pa.field("probability", pa.float64(), nullable=False),
            pa.field("margin", pa.float64(), nullable=False),
        ]
    ),
    keys=("protocol", "seed", "split", "row_id"),
)
"""A supervisor's view of the weak-supervision and test pairs.

``margin`` is s(chosen) - s(rejected). ``probability`` is P(first > second) in the order shown to the student:
(chosen, rejected), or (rejected, chosen) where ``swapped``.
"""

FLOORS = TableSchema(
    name="floors",
    fields=pa.schema([*_text("dataset", "floor", "metric"), *_ESTIMATE]),
    keys=("dataset", "floor", "metric"),
)
"""Accuracies that need no language model."""

_PLACE = [pa.field(name, pa.float64(), nullable=True) for name in ("x", "x_low", "x_high")]

FIGURE = TableSchema(
    name="figure",
    fields=pa.schema(
        [
            *_text("panel", "series"),
            pa.field("layer", pa.int64(), nullable=False),
            pa.field("step", pa.int64(), nullable=False),
            pa.field("tokens", pa.float64(), nullable=True),
            *_PLACE,
            *_ESTIMATE[:3],
        ]
    ),
    keys=("panel", "series", "layer", "step", "x"),
)
"""What a figure of one family on one dataset shows: ``value`` with its interval against ``x``.

``x`` is the step, or a predictor with its own interval. A level that holds for all revisions has no ``x``; it and the
points of a fitted line belong to no revision: their ``step`` is -1 and ``tokens`` (billions) is null. The layer of the whole
model is -1.
"""

AUDIT = TableSchema(
    name="audit",
    fields=pa.schema(
        [
            *_text("model", "revision", "commit", "weights_hash"),
            pa.field("files", pa.int64(), nullable=False),
            pa.field("bytes", pa.int64(), nullable=False),
            pa.field("flagged", pa.bool_(), nullable=False),
            *_text("duplicate_of", "reason"),
        ]
    ),
    keys=("model", "revision"),
)
"""What the published hashes of a model's revisions say, one row per listed revision.

``weights_hash`` is the SHA-256 of the weight file, or of the hashes of several in name order; ``files`` and ``bytes``
describe those files, all in the format that is used. ``flagged`` rows stay out of summaries and correlations unless
``audit.exclude`` is off; ``reason`` says why in words, ``duplicate_of`` names the revision with the same weights. A revision
of which nothing is known, or of which only a file in the unused format is another's, is not flagged, but ``reason`` says so.
What does not apply is empty or 0.
"""

CORRELATIONS = TableSchema(
    name="correlations",
    fields=pa.schema(
        [
            *_text("family", "dataset", "protocol"),
            pa.field("layer", pa.int64(), nullable=False),
            *_text("span", "predictor", "statistic"),
            *_ESTIMATE[:3],
            pa.field("p_naive", pa.float64(), nullable=True),
            pa.field("n", pa.int64(), nullable=False),
            pa.field("n_effective", pa.float64(), nullable=True),
            *_text("note"),
        ]
    ),
    keys=("family", "dataset", "protocol", "layer", "span", "predictor", "statistic"),
)
"""How well a predictor foretells W2SG accuracy over revisions.

``predictor``: ``probe`` (accuracy), ``loss`` (nats per token), ``difference`` (probe minus loss). ``span``: ``first_50``
(the name follows the configured number), ``all``, ``before_saturation``. ``statistic``: ``r2``, ``spearman`` (of the
difference: of magnitudes), ``r2_given_log_tokens`` (squared partial correlation). ``p_naive`` takes revisions for
independent, which they are not; ``n_effective`` is their number corrected for autocorrelation, null for a
trend. ``note`` says why the value or an end of its interval is null, or why the interval may be too short; else it is empty.
"""

TRANSITIONS = TableSchema(
    name="transitions",
    fields=pa.schema(
        [
            *_text("family", "dataset", "protocol"),
            pa.field("layer", pa.int64(), nullable=False),
            pa.field("seed", pa.int64(), nullable=False),
            *_text("estimate"),
            *_ESTIMATE,
            *_text("note"),
        ]
    ),
    keys=("family", "dataset", "protocol", "layer", "seed", "estimate"),
)
"""When and how W2SG sets in over pre-training; seed -1 is the mean over head seeds.

Steps: ``onset_step``. Billions of tokens: ``onset_tokens``, ``sigmoid_midpoint``, ``saturation_tokens``, ``change_point``.
Doublings of tokens: ``sigmoid_width`` (from 10 to 90 % of the rise). Accuracy: ``sigmoid_floor``, ``sigmoid_rise``,
``saturation`` (level of the late revisions), ``saturation_gain`` (above the supervisor), ``fluctuation`` (standard
deviation over the late revisions). Protocol ``converged_minus_paper`` compares the protocols: differences of accuracies,
and of positions in doublings of tokens. ``note`` says why a value or an end of its interval is null; empty otherwise.
"""

COMPLETENESS = TableSchema(
    name="completeness",
    fields=pa.schema(
        [
            *_text("family", "dataset", "revision"),
            pa.field("step", pa.int64(), nullable=False),
            pa.field("measured", pa.bool_(), nullable=False),
        ]
    ),
    keys=("family", "dataset", "step", "revision"),
)
"""What the study wants, one row per family, dataset and selected revision, and whether it was measured."""
