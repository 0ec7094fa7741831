"""Declared tables of the sweep branch with the meaning of every column; results/README.md is made of them."""

from __future__ import annotations

from w2sg.tables.files import declare, flag, maybe, real, text, whole

_DATASET = text("dataset", "dataset of pairs or labelled texts; for the evaluation loss, the corpus")
_SPLIT = text("split", "`ground_truth`, `weak_supervision` or `test`")
_ROW_ID = text("row_id", "id of the pair: 16 hexadecimal digits of its content")

DOCUMENTS = declare(
    "documents",
    text("doc_id", "id of the document in its corpus"),
    text("part", "`train`, `heldout` (evaluation loss) or `pair_texts` (pairs)"),
    text("label", "class that the corpus gives the document"),
    text("cluster", "smallest doc_id among the pair texts that nearly repeat one another"),
    text("text", "the document"),
    keys=("doc_id",),
)
"""Documents of a corpus."""

PAIRS = declare(
    "pairs",
    _DATASET,
    _SPLIT,
    _ROW_ID,
    whole("position", "place in the source, from 0, within a split"),
    text("prompt", "text that comes before either response; may be empty"),
    text("chosen", "preferred response; a labelled text of the positive class, empty for one of another"),
    text("rejected", "other response; a labelled text of another class, empty for one of the positive"),
    text("chosen_source", "source of the preferred response: near-duplicate documents, or a shared prompt; else empty"),
    text("rejected_source", "the same of the other response"),
    text("chosen_label", "class of the preferred response's document, or label of the text; empty where there is none"),
    text("rejected_label", "the same of the other response"),
    keys=("dataset", "split", "row_id"),
)
"""Pairs of a dataset."""

_FAMILY = text("family", "strong model with its supervisor, as in `config/models.yaml`")
_MODEL = text("model", "what was measured: a name in `models`")
_REVISION = text("revision", "branch or folder of the weights, as published")
_STEP = whole("step", "optimiser steps of the strong revision")
_COMMIT = text("commit", "identifies the weights; empty where the revision is missing or unknown")
_LAYER = whole("layer", "hidden state: 0 embedding, last after the final norm; -1 whole model")
_SEED = whole("seed", "seed of the head")
_PROTOCOL = text(
    "protocol",
    "heads: `paper`, `converged`; of trained backbones: `lora`, `full`; probe: split `pair`, `text` or `first`; loss: "
    "`language_model`; floor, subspace: `none`",
)
_NOTE = text("note", "why the value or an end of its interval is null, or may be wrong; else empty")
_ENDS = [
    maybe("low", "lower end of the interval; null where there is none"),
    maybe("high", "upper end of the interval; null where there is none"),
]
_ESTIMATE = [
    maybe("value", "estimate; null where undefined (PGR unless ceiling > weak)"),
    *_ENDS,
    whole("n", "test pairs (for the probe, pairs of which a text was tested; for the loss, tokens)"),
]
_HEAD = [
    text(
        "tested_on", "dataset whose test pairs were scored: `dataset`, but for transfer of final-layer headline heads"
    ),
    _LAYER,
    text(
        "head",
        "`w2s`, `ceiling`, `weak`, `probe`, `probe_plain`, `subspace` (components that the supervisor lacks), `floor` (of the "
        "supervisor's tokenizer), `model` (evaluation loss); controls: "
        "`weak_on_weak`, `permuted`, `probe_length`, `probe_random`, `probe_group`",
    ),
    _PROTOCOL,
    text(
        "setting",
        "`lr=…`, `selected` (rate chosen without test data), `cv` (penalty chosen by cross-validation), `fewer_tokens`, …",
    ),
    _SEED,
    text(
        "metric",
        "`accuracy`, `auroc`, `log_loss` (nats), `ece`, `agreement`, `gain`, `pgr`, `systematic_cost` (of `permuted`), "
        "`unexplained_norm` (of `subspace`), `nats_per_token`, `bits_per_byte`, …; "
        "`accuracy_step_…` of a trained backbone after so many steps, on the first test pairs; "
        "`training_sd` and `gain_training_sd`: standard deviation of accuracy and gain over draws of the training pairs, "
        "which the interval of these includes",
    ),
]
_HEAD_KEYS = ("dataset", "tested_on", "layer", "head", "protocol", "setting", "seed", "metric")

RESULTS = declare(
    "results",
    _MODEL,
    _REVISION,
    _COMMIT,
    _DATASET,
    *_HEAD,
    *_ESTIMATE,
    keys=("model", "revision", *_HEAD_KEYS),
)
"""Metrics of one revision: heads and probes on a dataset, or its evaluation loss."""

METRICS = declare(
    "metrics",
    _FAMILY,
    _MODEL,
    _REVISION,
    _STEP,
    real("tokens", "training tokens that the strong revision had seen, billions"),
    _COMMIT,
    text("weak", "the supervisor: a name in `models`"),
    text("weak_revision", "revision of the supervisor"),
    _DATASET,
    *_HEAD,
    *_ESTIMATE,
    keys=("family", "step", "model", "revision", *_HEAD_KEYS),
)
"""All metrics of a study."""

LABELS = declare(
    "weak_labels",
    _PROTOCOL,
    _SEED,
    whole("half", "0: the supervisor learned from all pairs; 1, 2: from one of the halves that the seed deals"),
    _SPLIT,
    _ROW_ID,
    flag("swapped", "whether the student saw the rejected text first; of a labelled text, minus its state"),
    real(
        "probability",
        "the supervisor's P(first > second), in the order shown to the student; -1 for a pair on which supervisors disagree, left out",
    ),
    real("margin", "the supervisor's s(chosen) - s(rejected); of a labelled text, score with the sign of its class"),
    keys=("protocol", "seed", "half", "split", "row_id"),
)
"""A supervisor's view of the weak-supervision and test pairs; one of half the pairs sees its half of the former."""

PREDICTIONS = declare(
    "predictions",
    _MODEL,
    _REVISION,
    _COMMIT,
    _DATASET,
    _PROTOCOL,
    text("head", "`weak`, `ceiling`, `w2s` or `permuted`"),
    _SEED,
    _ROW_ID,
    real(
        "margin",
        "s(chosen) - s(rejected) of a test pair, or score of a labelled text with the sign of its class: final layer, headline setting",
    ),
    keys=("model", "revision", "dataset", "protocol", "head", "seed", "row_id"),
)
"""What the heads of one revision, and its supervisor, make of every test pair; accuracies follow from it."""

FLOORS = declare(
    "floors",
    _DATASET,
    text(
        "floor",
        "`longer_response`, `tfidf` (words of the training pairs) or `same_ending` (word or mark that both end in); of labelled "
        "texts `longer_response` (than the median), `tfidf` and `majority`",
    ),
    text("metric", "`accuracy`, `auroc`, or `tie_rate` (share of pairs that the floor cannot tell apart)"),
    *_ESTIMATE[:3],
    whole("n", "test pairs"),
    keys=("dataset", "floor", "metric"),
)
"""Accuracies that need no language model."""

FIGURE = declare(
    "figure",
    text("panel", "panel of the figure: head protocol, metric or predictor, joined by a colon where it takes two"),
    text(
        "series",
        "what is drawn: a head, `twin:<revision>` (random twin), `loss:<text>`, `bits` (per byte), `floor:<name>`, `revision` (point), "
        "`monotone` (fit), `onset` (step in `x`) or `error` (held-out error of the predictor); of one of several pre-training seeds with `@<family>`",
    ),
    _LAYER,
    whole("step", "optimiser steps of the revision; -1 for a level or a fit, which belong to none"),
    maybe("tokens", "training tokens that the revision had seen, billions; null where there is no revision"),
    maybe("x", "horizontal coordinate: the step or a predictor; null for a level that holds for every revision"),
    maybe("x_low", "lower end of the interval of `x`; null where there is none"),
    maybe("x_high", "upper end of the interval of `x`; null where there is none"),
    *_ESTIMATE[:3],
    keys=("panel", "series", "layer", "step", "x"),
)
"""What a figure of one family on one dataset shows: ``value`` with its interval against ``x``."""

AUDIT = declare(
    "audit",
    _MODEL,
    _REVISION,
    _COMMIT,
    text("weights_hash", "SHA-256 of the weight file; of several files' hashes, in name order"),
    whole("files", "number of weight files that are used; 0 where the revision is missing or unknown"),
    whole("bytes", "size of the weight files that are used"),
    flag("flagged", "kept out of summary, correlations and figures unless `audit.exclude` is off"),
    text("duplicate_of", "the revision that has the same weights (or one equal file), else empty"),
    text(
        "reason",
        "why it is flagged, in words; also, not flagged, that nothing is known of it or that only an unused file is another's",
    ),
    keys=("model", "revision"),
)
"""What the published hashes of a model's revisions say, one row per listed revision; what does not apply is empty or 0."""

CORRELATIONS = declare(
    "correlations",
    _FAMILY,
    _DATASET,
    _PROTOCOL,
    _LAYER,
    text("span", "revisions that enter: `all`, `first_50` (or the number configured) or `before_saturation`"),
    text("predictor", "`probe` (accuracy), `loss` (nats per token), `difference` (probe minus loss, same resamples)"),
    text(
        "statistic",
        "`r2`, `spearman` (of `difference`: of the magnitudes) or `r2_given_log_tokens` (squared partial correlation)",
    ),
    maybe("value", "the statistic; null where undefined"),
    *_ENDS,
    maybe("p_naive", "p-value as if revisions were independent, which they are not: too small; null for differences"),
    whole("n", "revisions"),
    maybe(
        "n_effective",
        "number of revisions corrected for the autocorrelation of both series; null for a trend, whose revisions are no sample",
    ),
    _NOTE,
    keys=("family", "dataset", "protocol", "layer", "span", "predictor", "statistic"),
)
"""How well a predictor predicts W2SG accuracy over revisions."""

TRANSITIONS = declare(
    "transitions",
    _FAMILY,
    _DATASET,
    text("protocol", "`paper`, `converged`, or their comparison `converged_minus_paper`"),
    _LAYER,
    whole("seed", "seed of the heads; -1: mean over seeds"),
    text("estimate", "name of the estimate; it decides the unit of the value"),
    maybe("value", "the estimate; null where there is none"),
    *_ENDS,
    whole("n", "revisions that the estimate rests on"),
    _NOTE,
    keys=("family", "dataset", "protocol", "layer", "seed", "estimate"),
)
"""When and how W2SG sets in over pre-training.

Steps: ``onset_step``. Billions of tokens: ``onset_tokens``, ``sigmoid_midpoint``, ``saturation_tokens``, ``change_point``.
Doublings of tokens: ``sigmoid_width`` (from 10 to 90 % of the rise). Accuracy: ``sigmoid_floor``, ``sigmoid_rise``,
``saturation`` (level of the late revisions), ``saturation_gain`` (above the supervisor), ``fluctuation`` (standard deviation over
the late revisions, sampling noise of the pairs taken out unless the note says that it is not). Share: ``pgr``. Those ending in ``_shared``
are half widths of intervals by what test and training pairs make of all revisions alike (of the onset in doublings), ``onset_step_crossing`` and
``onset_tokens_crossing`` are where the gain crosses zero before it (R22). ``converged_minus_paper`` compares
the protocols: differences of accuracies, and of positions in doublings. An onset lies after ``low``, the last revision below its
supervisor.
"""

PREDICTION = declare(
    "prediction",
    text("family", "strong model with its supervisor; for `seed` the family whose pre-training seeds are compared"),
    _DATASET,
    _PROTOCOL,
    _LAYER,
    text("held_out", "what is predicted from all others: one `revision` of a run, or all of one pre-training `seed`"),
    text(
        "predictor",
        "`probe`, `loss`, `step` (log), `ceiling`, `unrelated` (probe of the texts' length), `plain` (probe with default settings), `subspace` "
        "(components that the supervisor lacks), `probe_minus_loss`, `probe_minus_step`, `probe_minus_subspace`",
    ),
    maybe("value", "root mean square error of W2SG accuracy, or the difference of two; null where undefined"),
    *_ENDS,
    whole("n", "revisions, or pre-training seeds"),
    _NOTE,
    keys=("family", "dataset", "protocol", "layer", "held_out", "predictor"),
)
"""How far off held-out W2SG accuracy is predicted by a monotone fit."""

AGREEMENT = declare(
    "agreement",
    _FAMILY,
    _DATASET,
    _PROTOCOL,
    _SEED,
    _STEP,
    maybe("corrected", "share of the test pairs that the supervisor has wrong and the student right"),
    maybe("spoiled", "share of the test pairs that the supervisor has right and the student wrong"),
    real("same_as_last", "share of the test pairs that the student answers as that of the last revision does"),
    real("error_to_last", "standard error, by the pairs, of accuracy minus that of the last revision"),
    whole("n", "test pairs"),
    keys=("family", "dataset", "protocol", "seed", "step"),
)
"""Which test pairs the student corrects at each revision, final layer."""

COMPLETENESS = declare(
    "completeness",
    _FAMILY,
    _DATASET,
    _REVISION,
    _STEP,
    text("students", "kind of students: `linear` (heads on frozen activations), or `lora`, `full`"),
    flag("measured", "whether such students of this revision were trained on this dataset"),
    keys=("family", "dataset", "step", "revision", "students"),
)
"""What the study wants, one row per family, dataset, selected revision and kind of students, and whether it was measured."""
