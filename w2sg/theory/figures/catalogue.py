"""The figures of the theory branch: one entry each, with all that is known about it by name. No array library.

Figure ``name`` shows what ``tables.table_<name>`` returns, as ``plots.<name>`` or ``maps.<name>`` draws it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from w2sg.theory.experiments.catalogue import EXPERIMENTS
from w2sg.theory.experiments.settings import Grid


@dataclass(frozen=True, kw_only=True)
class TheoryFigure:
    """A figure by name."""

    title: str
    """Title, with the figure's number in the paper where it has one."""
    experiment: str
    """Experiment whose table it draws and whose criteria it reports."""
    caption: str
    """What is plotted, with which parameters, and how to read it. In braces: ``g``, the experiment's first grid, or its
    settings ``s``; ``{run}``, all that one grid's runs share; ``{dimension}`` and ``{seeds}`` of the phase diagrams.
    """


_PHASE = (
    "Fraction of runs whose student ends closer to the target than its supervisor, over {plane}, from a spectral start "
    "(N/d = {{s.ratio:g}}) whose sign the weak loss chose ({{s.samples}} samples); he3, {fixed}, step {{s.eta:g}}, T "
    "= {{s.steps}}, noise nu = {{s.noise:g}}, d = {{dimension}}, {{seeds}} runs per cell. Lines are predictions for d "
    "to infinity without any fit: spectral threshold, sign rule, and the limit equation's crossing of D_w."
)

FIGURES = {
    "fig1a": TheoryFigure(
        title="Figure 1a: a threshold in the alignment of pre-training",
        experiment="kappa_threshold",
        caption="Final distance and risk of the student against kappa. {run}, lam = {g.lams[0]:g}, step {g.etas[0]:g}. "
        "Below the dashed line the student beats its supervisor; the dotted curve is the start, the black one the "
        "limit equation.",
    ),
    "fig1b": TheoryFigure(
        title="Figure 1b: initial improvement, then saturation at the supervisor",
        experiment="trajectories",
        caption="Distance along fine-tuning from four warm starts m0. {run}, lam = {g.lams[0]:g}, kappa = "
        "{g.kappas[0]:g}; batch (step {g.etas[0]:g}), online (one sample per step, eta 0.005, T = 800 d) and exact "
        "gradient; dotted: limit equation. All good starts dip below D_w and return to it.",
    ),
    "fig3": TheoryFigure(
        title="Figure 3 (computed): pre-training enters the effective region",
        experiment="region",
        caption="Left: one-point convexity of the he3 loss over c_sig/2 at every direction around the target (radius: "
        "angle; horizontal: towards v), lam = {s.lam:g}, kappa = {s.kappa:g}; inside the black line strong convexity "
        "holds. Dots: spectral starts with growing N/d. Right: the worst direction at each angle for two activations; "
        "the vertical line is softplus's analytic radius.",
    ),
    "fig4": TheoryFigure(
        title="Figure 4 (computed): the weak gradient leads past the target to the supervisor",
        experiment="trajectories",
        caption="Flow of the exact weak gradient on the half disc spanned by the target (up), the supervisor's own "
        "part (right) and a remaining direction, he3, lam = {g.lams[0]:g}, kappa = {g.kappas[0]:g}, c_w = "
        "{g.c_ws[0]:g}. Where shaded, the distance to the target falls. Lines: mean batch runs of figure 1b; above "
        "the dashed line a student beats its supervisor.",
    ),
    "fig5": TheoryFigure(
        title="Figure 5: condition 1, a detectable spike",
        experiment="spike_strength",
        caption="Final distance against the spike strength. {run}, step {g.etas[0]:g}. The vertical line is the "
        "spectral threshold sqrt(d/N); dotted curves are the limit equation.",
    ),
    "fig6": TheoryFigure(
        title="Figure 6: condition 2, an aligned spike",
        experiment="alignment",
        caption="Final distance against the alignment kappa. {run}, step {g.etas[0]:g}. Below the dashed line the "
        "student beats its supervisor; dotted curves are the limit equation.",
    ),
    "fig7": TheoryFigure(
        title="Figure 7: condition 3, an informative supervisor",
        experiment="weak_quality",
        caption="Final distance against the weak correlation c_w, lam = {g.lams[0]:g}, he3, d = {g.dimensions[0]}, B = "
        "{g.batch}, T = {g.steps}, N/d = {g.ratio:g}, step {g.etas[0]:g}. Below the dashed curve D_w the student "
        "beats its supervisor; dotted curves are the limit equation.",
    ),
    "fig8": TheoryFigure(
        title="Figure 8: condition 4, a stable step",
        experiment="learning_rate",
        caption="Final distance against the step from four warm starts. {run}, lam = {g.lams[0]:g}, kappa = "
        "{g.kappas[0]:g}. Small steps do not move, middle ones beat the supervisor, larger ones end at it, and too "
        "large ones end nowhere (sqrt 2).",
    ),
    "fig9": TheoryFigure(
        title="Figure 9: convexity, bias and pull along pre-training",
        experiment="landscape",
        caption="Landscape at the iterates of power iteration on the empirical covariance: one-point convexity mu, "
        "bias eps, pull towards the target (top) and angle to the target (bottom). tanh(z)^3, kappa = {s.kappa:g}, "
        "c_w = {s.c_w:g}, d = {s.dimension}, N/d = {s.ratio:g}; A: lam = {s.cases[0][1]:g}, B: lam = "
        "{s.cases[1][1]:g}, C: lam = {s.cases[2][1]:g}. Where eps exceeds mu the weak gradient need not point to the "
        "target.",
    ),
    "bound": TheoryFigure(
        title="Bound (3) beside measured trajectories",
        experiment="bound",
        caption="Squared distance against alpha eta mu inside the provable region of softplus(1), lam = {s.lam:g}, "
        "kappa = {s.kappa:g}, supervisor at {s.supervisor_degrees:g} degrees, eta = {s.fraction:g} of the largest "
        "admissible one, d = {s.dimension}. The bound holds, with much room; its bias floor lies above the "
        "supervisor's own error, so it cannot certify W2SG.",
    ),
    "lemma": TheoryFigure(
        title="Lemma 3.2: without pre-training nothing is learned",
        experiment="random_start",
        caption="Overlap with the target along online fine-tuning on true labels from a random start, times sqrt d "
        "(mean over runs and their largest), he3, lam = {g.lams[0]:g}, kappa = {g.kappas[0]:g}, eta {g.etas[0]:g}, T "
        "= {g.steps} d. Staying of order one means that the overlap itself vanishes; a warm start m0 = 0.4 reaches "
        "the target (right).",
    ),
    "sign_rule": TheoryFigure(
        title="Where the weak loss picks the wrong sign",
        experiment="sign_rule",
        caption="Fraction of spectral starts that the weak-loss rule turns away from the target; he3, c_w = {s.c_w:g}, "
        "d = {s.dimension}, N/d = {s.ratio:g}, {s.samples} samples. Solid: zero of the population margin at the "
        "limiting overlap; dashed: the same at overlap one.",
    ),
    "phase_lam_kappa": TheoryFigure(
        title="Phase diagram in spike strength and alignment",
        experiment="phase_lam_kappa",
        caption=_PHASE.format(plane="spike strength and alignment", fixed="c_w = {s.c_w:g}"),
    ),
    "phase_kappa_cw": TheoryFigure(
        title="Phase diagram in alignment and weak correlation",
        experiment="phase_kappa_cw",
        caption=_PHASE.format(plane="alignment and weak correlation", fixed="lam = {s.lam:g}"),
    ),
    "four_conditions": TheoryFigure(
        title="The four conditions of the theorem, and success beyond them",
        experiment="conditions",
        caption="Three slices of one grid through lam = {s.slices[0]:g}, v at {s.slices[1]:g} and theta_w at "
        "{s.slices[2]:g} degrees from the target, eta = {s.slices[3]:g}; projected tanh, N/d = {s.ratio:g}. Colour: "
        "the student ends closer to the target than its supervisor after alpha eta mu = {s.horizon:g}. Digits name the "
        "conditions that fail (1 detectable, 2 aligned, 3 informative, 4 stable); in framed cells all four hold. Below "
        "eta = {s.noisy:g} the exact gradient is followed (without noise a run does not depend on eta), from there on "
        "the noise is simulated, d = {s.dimension}.",
    ),
}
"""Every figure by name."""


def figure_of(name: str) -> TheoryFigure:
    """Returns a figure's entry.

    Raises:
        ValueError: On an unknown name.
    """
    if name not in FIGURES:
        raise ValueError(f"figure must be one of {sorted(FIGURES)}, got {name!r}")
    return FIGURES[name]


def caption_of(name: str, settings: Mapping[str, Any]) -> str:
    """Returns a figure's caption with the sizes that ``settings``, section ``theory`` of the configuration, decides."""
    figure = figure_of(name)
    experiment = EXPERIMENTS[figure.experiment]
    if not experiment.grids:
        return figure.caption.format(s=experiment.settings, **settings["phase"])
    grid, runs = experiment.grids[0], experiment.runs(settings["seeds"])
    return figure.caption.format(g=grid, run=_shared(grid)) + f" Means over {runs} runs per setting."


def _shared(grid: Grid) -> str:
    sizes = f"d = {grid.dimensions[0]}, B = {grid.batch}, T = {grid.steps}, c_w = {grid.c_ws[0]:g}"
    return f"he3 with unit amplitude, {sizes}" + (f", N/d = {grid.ratio:g}" if grid.starts == (None,) else "")
