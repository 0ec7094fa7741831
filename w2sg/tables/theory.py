"""Declared tables of the theory branch with the meaning of every column; results/README.md is made of them."""

from __future__ import annotations

import pandas as pd

from w2sg.tables.files import declare, flag, maybe, real, text, whole

_EXPERIMENT = text("experiment", "name of the experiment (docs/theory.md, section 9)")
_DIMENSION = whole("dimension", "input dimension d")
_LAM = real("lam", "spike strength λ")
_KAPPA = real("kappa", "alignment κ of spike and target; null in the radii where they do not depend on it")
_CW = real("c_w", "weak correlation ⟨θ_w, θ*⟩")
_RUN = whole("seed", "number of the run, from 0; each has its own random stream")
_CASE = text("case", "setting of the check: spike strength or activation")
_CHECK = text("check", "name of the check")
_SEEDS = whole("seeds", "independent runs behind the number; 0 for a deterministic one")
_WEAK_DISTANCE = real("weak_distance", "distance D_w of the supervisor")
_DISTANCE = real("distance", "D = |θ - θ*| of the student; in a phase diagram, the mean over runs")
_OVERLAPS = [
    real("m", "overlap of the student with the target, ⟨θ, θ*⟩"),
    real("q", "overlap of the student with the spike, ⟨θ, v⟩"),
    real("w", "overlap of the student with the supervisor, ⟨θ, θ_w⟩"),
]

RUNS = declare(
    "theory_runs",
    _EXPERIMENT,
    text("variant", "which grid of the experiment the run belongs to"),
    _DIMENSION,
    _LAM,
    _KAPPA,
    _CW,
    real("eta", "learning rate η"),
    maybe("m0", "overlap of a warm start with the target; null for the spectral start"),
    _RUN,
    whole("step", "steps of fine-tuning done"),
    *_OVERLAPS,
    _DISTANCE,
    real("risk", "risk L of the student"),
    real("weak_loss", "weak loss L_w of the student"),
    _WEAK_DISTANCE,
    real("weak_risk", "risk L(θ_w) of the supervisor"),
    keys=("experiment", "variant", "dimension", "lam", "kappa", "c_w", "eta", "m0", "seed", "step"),
)
"""Fine-tuning runs at their recorded steps."""

LANDSCAPE = declare(
    "theory_landscape",
    _CASE,
    _LAM,
    _RUN,
    whole("step", "power iterations done"),
    real("angle", "angle to the target, degrees"),
    real("mu", "one-point convexity ⟨∇L, θ - θ*⟩ / |θ - θ*|²"),
    real("eps", "bias |∇L_w - ∇L| of the supervisor there"),
    real("pull", "component of -∇L along the tangent towards the target"),
    keys=("case", "seed", "step"),
)
"""Landscape metrics along power iteration."""

SIGNS = declare(
    "theory_signs",
    _LAM,
    _KAPPA,
    _RUN,
    flag("wrong", "whether the weak-loss rule turned the start away from the target"),
    real("margin", "population margin (H6) at the start, oriented by the truth"),
    keys=("lam", "kappa", "seed"),
)
"""Choices of the weak-loss sign rule."""

REGION = declare(
    "theory_region",
    _CHECK,
    _CASE,
    real("value", "what was computed or measured"),
    maybe("bound", "what the value must respect; null where there is nothing to respect"),
    keys=("check", "case"),
)
"""Constants, radii and numerical checks of the effective region: a value and what bounds it, if anything."""

AGREEMENT = declare(
    "theory_agreement",
    text("engine", "`direct` or `reduced`"),
    whole("batch", "samples per step B; 1 is the online algorithm"),
    _RUN,
    *_OVERLAPS,
    keys=("engine", "batch", "seed"),
)
"""Final overlaps of the same setting in two engines."""

BOUND = declare(
    "theory_bound",
    text("curve", "`measured`, `bound` (3), `bias floor` (its limit) or `supervisor`"),
    _RUN,
    real("time", "rescaled time α η μ"),
    real("squared_distance", "D²"),
    keys=("curve", "seed", "time"),
)
"""Squared distance against alpha eta mu: the bound, its limit, measured runs."""

CONDITIONS = declare(
    "theory_conditions",
    _LAM,
    _KAPPA,
    _CW,
    real("eta", "learning rate η of the online algorithm"),
    real("detectable", "margin of condition 1: λ minus the least detectable strength"),
    real("aligned", "margin of condition 2: κ times the overlap of the start, minus γ"),
    real("informative", "margin of condition 3: largest admissible bias minus ε"),
    real("stable", "margin of condition 4: largest admissible η minus η"),
    flag("hold", "whether all four conditions hold"),
    _SEEDS,
    real("success", "share of runs that end closer to the target than the supervisor is"),
    real("squared_distance", "mean D² at the end of the runs"),
    _WEAK_DISTANCE,
    real("bound", "bound (3) at that time; proven only where all four conditions hold"),
    keys=("lam", "kappa", "c_w", "eta"),
)
"""The theorem's four conditions per cell, beside where fine-tuning beats the supervisor."""

PHASE = declare(
    "theory_phase",
    _LAM,
    _KAPPA,
    _CW,
    _DIMENSION,
    _SEEDS,
    real("success", "share of runs that end closer to the target than the supervisor is"),
    real("success_risk", "share of runs that end with a smaller risk than the supervisor's"),
    real("wrong_sign", "share of runs that the weak-loss rule turned the wrong way"),
    _DISTANCE,
    _WEAK_DISTANCE,
    real("limit_overlap", "overlap that the spectral law predicts for d → ∞"),
    real("limit_margin", "margin of the sign rule for d → ∞; negative: the rule is wrong"),
    real("limit_distance", "final distance of the limit equation, start oriented by the truth"),
    keys=("lam", "kappa", "c_w"),
)
"""Success fractions per cell, beside the predictions of spectral law, sign rule and limit flow."""

ACCEPTANCE = declare(
    "theory_acceptance",
    text("section", "section under which docs/theory.md lists the experiment"),
    _EXPERIMENT,
    text("criterion", "what was tested, in words"),
    text(
        "kind",
        "`theory`: a statement of the theory; `agreement`: two computations of the same thing agree; `regression`: a number "
        "equals the design's own simulation or worked value",
    ),
    text("expected", "what it should be, in words"),
    real("measured", "what was measured"),
    maybe("standard_error", "standard error of the measured number; null where it is exact or an extreme of runs"),
    _SEEDS,
    flag("holds", "whether the criterion holds"),
    keys=("section", "experiment", "criterion"),
)
"""Criteria: what was expected, what was measured, and whether it holds."""

_WORDS = {
    "theory": ("statement of the theory holds", "statements of the theory hold"),
    "agreement": ("pair of computations agrees", "pairs of computations agree"),
    "regression": ("regression value is reproduced", "regression values are reproduced"),
}


def tally(acceptance: pd.DataFrame) -> str:
    """Returns how many criteria of each kind hold, and which fail, as one sentence without its full stop."""
    held = acceptance.loc[acceptance["holds"], "kind"].value_counts()
    words = [f"{held[kind]} {many if held[kind] > 1 else one}" for kind, (one, many) in _WORDS.items() if kind in held]
    failed = acceptance.loc[~acceptance["holds"]]
    if len(failed):
        named = "; ".join(failed["criterion"])
        words.append(f"{len(failed)} of {len(acceptance)} criteria FAIL: {named}")
    return ", ".join(words)


FIGURE = declare(
    "theory_figure",
    text("panel", "panel of the figure"),
    text("series", "line or plane in the panel"),
    real("x", "horizontal coordinate"),
    maybe("y", "second coordinate of a value on a plane; null for lines"),
    maybe("value", "what is drawn; null where there is nothing to draw"),
    maybe("low", "value minus one standard error; null where there is none"),
    maybe("high", "value plus one standard error; null where there is none"),
    keys=("panel", "series", "x", "y"),
)
"""What a figure shows: lines, or values on a plane."""

RADII = declare(
    "theory_radii",
    text("example", "which activation, and whose c_σ"),
    _LAM,
    _KAPPA.with_nullable(True),
    real("c1", "supremum C₁ of |σ'|"),
    real("c2", "supremum C₂ of |σ''|"),
    real("c3", "supremum C₃ of |σ'''|"),
    real("c_sig", "non-degeneracy constant c_σ, equation (15)"),
    real("l1", "L₁, equation (23)"),
    real("l2", "L₂, equation (24)"),
    real("r_conv", "R_conv, equation (25)"),
    real("r_drift", "R_drift, equation (26)"),
    real("radius", "R = min(R_conv, R_drift)"),
    real("degrees", "the same as an angle to the target"),
    keys=("example", "lam"),
)
"""Worked radii of the effective region; ``kappa`` is null where the radius does not depend on it."""
