"""What the columns of all declared tables mean: the one place that the documentation and results/README.md draw on.

A key is a column's name where it means the same in every table, or ``table.column`` where it means something of its
own there.
"""

from __future__ import annotations

from w2sg.tables.files import TableSchema

_MODEL_BRANCH = {
    "family": "strong model with its supervisor, as in `config/models.yaml`",
    "model": "what was measured: a name in `models`",
    "revision": "branch or folder of the weights, as published",
    "commit": "identifies the weights; empty where the revision is missing or unknown",
    "step": "optimiser steps of the strong revision",
    "tokens": "training tokens that the strong revision had seen, billions",
    "weak": "the supervisor: a name in `models`",
    "weak_revision": "revision of the supervisor",
    "dataset": "preference dataset; for the evaluation loss, the corpus",
    "layer": "hidden state: 0 embedding, last after the final norm; -1 whole model",
    "head": "`w2s`, `ceiling`, `weak`, `probe`, or `model` (evaluation loss)",
    "protocol": "heads: `paper`, `converged`; probe: split `pair` or `text`; loss: `language_model`",
    "setting": "`lr=…`, `selected` (rate chosen without test data), `cv` (penalty chosen by cross-validation), …",
    "seed": "seed of the head",
    "metric": "`accuracy`, `auroc`, `log_loss` (nats), `ece`, `agreement`, `gain`, `pgr`, `nats_per_token`, `bits_per_byte`, …",
    "value": "estimate; null where undefined (PGR unless ceiling > weak)",
    "low": "lower end of the interval; null where there is none",
    "high": "upper end of the interval; null where there is none",
    "n": "test pairs (for the probe, pairs of which a text was tested; for the loss, tokens)",
    "split": "`ground_truth`, `weak_supervision` or `test`",
    "row_id": "id of the pair: 16 hexadecimal digits of its content",
    "swapped": "whether the student saw the rejected text first",
    "probability": "the supervisor's P(first > second), in the order shown to the student",
    "margin": "s(chosen) - s(rejected) of the supervisor",
    "floor": "`longer_response`, `tfidf` (words of the training pairs) or `same_ending` (word or mark that both end in)",
    "floors.metric": "`accuracy`, `auroc`, or `tie_rate` (share of pairs that the floor cannot tell apart)",
    "floors.n": "test pairs",
    "weights_hash": "SHA-256 of the weight file; of several files' hashes, in name order",
    "files": "number of weight files that are used; 0 where the revision is missing or unknown",
    "bytes": "size of the weight files that are used",
    "flagged": "kept out of summary, correlations and figures unless `audit.exclude` is off",
    "duplicate_of": "the revision that has the same weights (or one equal file), else empty",
    "reason": "why it is flagged, in words; also, not flagged, that nothing is known of it or that only an unused file is another's",
    "completeness.measured": "whether heads were trained on this revision's features of this dataset",
    "position": "place in the source, from 0, within a split",
    "prompt": "text that comes before either response; may be empty",
    "chosen": "preferred response",
    "rejected": "other response",
    "doc_id": "id of the document in its corpus",
    "part": "`train`, `heldout` (evaluation loss) or `pair_texts` (pairs)",
    "label": "class that the corpus gives the document",
    "cluster": "smallest doc_id among the pair texts that nearly repeat one another",
    "text": "the document",
}
_FIGURES = {
    "figure.panel": "panel of the figure: head protocol, metric or predictor, joined by a colon where it takes two",
    "figure.series": "what is drawn: a head, `loss`, `floor:<name>`, `revision` (point) or `fit` (line)",
    "figure.step": "optimiser steps of the revision; -1 for a level or a fitted line, which belong to none",
    "figure.tokens": "training tokens that the revision had seen, billions; null where there is no revision",
    "figure.x": "horizontal coordinate: the step or a predictor; null for a level that holds for every revision",
}
_STATISTICS = {
    "span": "revisions that enter: `all`, `first_50` (or the number configured) or `before_saturation`",
    "predictor": "`probe` (accuracy), `loss` (nats per token) or `difference` (probe minus loss, from the same resamples)",
    "statistic": "`r2`, `spearman` (of `difference`: of the magnitudes) or `r2_given_log_tokens` (squared partial correlation)",
    "p_naive": "p-value as if revisions were independent, which they are not: too small; null for differences",
    "n_effective": "number of revisions corrected for the autocorrelation of both series; null for a trend, whose revisions are no sample",
    "note": "why the value or an end of its interval is null, or may be wrong; else empty",
    "estimate": "name of the estimate; it decides the unit of the value",
    "correlations.n": "revisions",
    "correlations.value": "the statistic; null where undefined",
    "transitions.n": "revisions that the estimate rests on",
    "transitions.value": "the estimate; null where there is none",
    "transitions.seed": "seed of the heads; -1: mean over seeds",
    "transitions.protocol": "`paper`, `converged`, or their comparison `converged_minus_paper`",
}
_THEORY = {
    "experiment": "name of the experiment (docs/theory.md, section 9)",
    "variant": "which grid of the experiment the run belongs to",
    "dimension": "input dimension d",
    "lam": "spike strength λ",
    "kappa": "alignment κ of spike and target; null in the radii where they do not depend on it",
    "c_w": "weak correlation ⟨θ_w, θ*⟩",
    "eta": "learning rate η",
    "m0": "overlap of a warm start with the target; null for the spectral start",
    "m": "overlap of the student with the target, ⟨θ, θ*⟩",
    "q": "overlap of the student with the spike, ⟨θ, v⟩",
    "w": "overlap of the student with the supervisor, ⟨θ, θ_w⟩",
    "distance": "D = |θ - θ*| of the student; in a phase diagram, the mean over runs",
    "risk": "risk L of the student",
    "weak_loss": "weak loss L_w of the student",
    "weak_distance": "distance D_w of the supervisor",
    "weak_risk": "risk L(θ_w) of the supervisor",
    "case": "setting of the check: spike strength or activation",
    "angle": "angle to the target, degrees",
    "mu": "one-point convexity ⟨∇L, θ - θ*⟩ / |θ - θ*|²",
    "eps": "bias |∇L_w - ∇L| of the supervisor there",
    "pull": "component of -∇L along the tangent towards the target",
    "wrong": "whether the weak-loss rule turned the start away from the target",
    "theory_signs.margin": "population margin (H6) at the start, oriented by the truth",
    "check": "name of the check",
    "theory_region.value": "what was computed or measured",
    "bound": "what the value must respect; null where there is nothing to respect",
    "engine": "`direct` or `reduced`; in the check of the amplitude, `unit` or `raw`",
    "batch": "samples per step B; 1 is the online algorithm",
    "curve": "`measured`, `bound` (3), `bias floor` (its limit) or `supervisor`",
    "time": "rescaled time α η μ",
    "squared_distance": "D²",
    "seeds": "independent runs behind the number; 0 for a deterministic one",
    "success": "share of runs that end closer to the target than the supervisor is",
    "success_risk": "share of runs that end with a smaller risk than the supervisor's",
    "wrong_sign": "share of runs that the weak-loss rule turned the wrong way",
    "limit_overlap": "overlap that the spectral law predicts for d → ∞",
    "limit_margin": "margin of the sign rule for d → ∞; negative: the rule is wrong",
    "limit_distance": "final distance of the limit equation, start oriented by the truth",
    "section": "section under which docs/theory.md lists the experiment",
    "criterion": "what was tested, in words",
    "expected": "what it should be, in words",
    "measured": "what was measured",
    "standard_error": "standard error of the measured number; null where it is exact or an extreme of runs",
    "holds": "whether the criterion holds",
    "panel": "panel of the figure",
    "series": "line or plane in the panel",
    "x": "horizontal coordinate",
    "y": "second coordinate of a value on a plane; null for lines",
    "theory_figure.value": "what is drawn; null where there is nothing to draw",
    "theory_figure.low": "value minus one standard error; null where there is none",
    "theory_figure.high": "value plus one standard error; null where there is none",
    "example": "which activation, and whose c_σ",
    "c1": "supremum C₁ of |σ'|",
    "c2": "supremum C₂ of |σ''|",
    "c3": "supremum C₃ of |σ'''|",
    "c_sig": "non-degeneracy constant c_σ, equation (15)",
    "l1": "L₁, equation (23)",
    "l2": "L₂, equation (24)",
    "r_conv": "R_conv, equation (25)",
    "r_drift": "R_drift, equation (26)",
    "radius": "R = min(R_conv, R_drift)",
    "degrees": "the same as an angle to the target",
}
_RUN = "number of the run, from 0; each has its own random stream"
_THEORY |= {f"theory_{name}.seed": _RUN for name in ("runs", "landscape", "signs", "agreement", "bound")}
_THEORY |= {"theory_runs.step": "steps of fine-tuning done", "theory_landscape.step": "power iterations done"}


MEANINGS: dict[str, str] = _MODEL_BRANCH | _FIGURES | _STATISTICS | _THEORY
"""Meaning by column, or by ``table.column``; Markdown, one line each."""

_ENDS = {"_low": "lower", "_high": "upper"}


def meaning(schema: TableSchema, column: str) -> str:
    """Returns what a column of a table means; ``<column>_low`` and ``<column>_high`` are the ends of an interval.

    Raises:
        KeyError: If no meaning is recorded, naming the key that has to be added.
    """
    for key in (f"{schema.name}.{column}", column):
        if key in MEANINGS:
            return MEANINGS[key]
    for suffix, end in _ENDS.items():
        base = column.removesuffix(suffix)
        if base != column and base in schema.fields.names:
            return f"{end} end of the interval of `{base}`; null where there is none"
    raise KeyError(f"column {column} of table {schema.name} has no meaning; add it to w2sg/tables/column_meanings.py")
