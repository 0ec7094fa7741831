"""The figures of the theory branch: one entry each, with all that is known about it by name. Standard library only.

Figure ``name`` shows what ``tables.table_<name>`` returns, as ``<module>.<name>`` draws it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from w2sg.theory.experiments.catalogue import EXPERIMENTS
from w2sg.theory.experiments.settings import Grid, LandscapeSettings, PhaseSettings


@dataclass(frozen=True, kw_only=True)
class TheoryFigure:
    """A figure by name."""

    name: str
    """Name in rules and files."""
    title: str
    """Title, with the figure's number in the paper where it has one."""
    experiment: str
    """Experiment whose table it draws and whose criteria it reports."""
    caption: str
    """What is plotted, with which parameters, and how to read it; ``{dimension}`` and ``{seeds}`` are those of the phase diagrams."""
    module: str = "plots"
    """Module that draws it."""


def _batch(grid: Grid) -> str:
    start = "" if grid.starts != (None,) else f", N/d = {grid.ratio:g}"
    return (
        f"he3 with unit amplitude, d = {grid.dimensions[0]}, B = {grid.batch}, T = {grid.steps}, "
        f"c_w = {grid.c_ws[0]:g}{start}"
    )


def _landscape_caption(s: LandscapeSettings) -> str:
    cases = ", ".join(f"{case}: lam = {lam:g}" for case, lam in s.cases)
    return (
        f"Landscape at the iterates of power iteration on the empirical covariance: one-point convexity mu, bias eps, pull "
        f"towards the target (top) and angle to the target (bottom). tanh(z)^3, kappa = {s.kappa:g}, c_w = {s.c_w:g}, "
        f"d = {s.dimension}, N/d = {s.ratio:g}; {cases}. Where eps exceeds mu the weak gradient need not point to the target."
    )


def _phase_caption(s: PhaseSettings, plane: str, fixed: str) -> str:
    return (
        f"Fraction of runs whose student ends closer to the target than its supervisor, over {plane}, from a spectral start "
        f"(N/d = {s.ratio:g}) whose sign the weak loss chose ({s.samples} samples); he3, {fixed}, step {s.eta:g}, T = {s.steps}, "
        f"noise nu = {s.noise:g}, d = {{dimension}}, {{seeds}} runs per cell. Lines are predictions for d to infinity without any "
        f"fit: spectral threshold, sign rule, "
        f"and the limit equation's crossing of D_w."
    )


_OF: dict[str, Any] = {name: item.grids[0] if item.grids else item.settings for name, item in EXPERIMENTS.items()}
_KAPPA, _TRAJECTORY, _LAM = _OF["kappa_threshold"], _OF["trajectories"], _OF["spike_strength"]
_ALIGN, _WEAK, _RATE, _LEMMA = _OF["alignment"], _OF["weak_quality"], _OF["learning_rate"], _OF["random_start"]
_SIGN, _REGION, _BOUND = _OF["sign_rule"], _OF["region"], _OF["bound"]
_LAM_KAPPA, _KAPPA_CW = _OF["phase_lam_kappa"], _OF["phase_kappa_cw"]

FIGURES = {
    figure.name: figure
    for figure in (
        TheoryFigure(
            name="fig1a",
            title="Figure 1a: a threshold in the alignment of pre-training",
            experiment="kappa_threshold",
            caption=f"Final distance and risk of the student against kappa. {_batch(_KAPPA)}, lam = {_KAPPA.lams[0]:g}, "
            f"step {_KAPPA.etas[0]:g}. Below the dashed line the student beats its supervisor; the dotted curve is the start, the "
            "black one the limit equation.",
        ),
        TheoryFigure(
            name="fig1b",
            title="Figure 1b: initial improvement, then saturation at the supervisor",
            experiment="trajectories",
            caption=f"Distance along fine-tuning from four warm starts m0. {_batch(_TRAJECTORY)}, lam = {_TRAJECTORY.lams[0]:g}, "
            f"kappa = {_TRAJECTORY.kappas[0]:g}; batch (step {_TRAJECTORY.etas[0]:g}), online (one sample per step, eta 0.005, "
            "T = 800 d) and exact gradient; dotted: limit equation. All good starts dip below D_w and return to it.",
        ),
        TheoryFigure(
            name="fig3",
            title="Figure 3 (computed): pre-training enters the effective region",
            experiment="region",
            caption=f"Left: one-point convexity of the he3 loss over c_sig/2 at every direction around the target (radius: angle; "
            f"horizontal: towards v), lam = {_REGION.lam:g}, kappa = {_REGION.kappa:g}; inside the black line strong convexity holds. Dots: "
            "spectral starts with growing N/d. Right: the worst direction at each angle for two activations; the vertical line is "
            "softplus's analytic radius.",
            module="maps",
        ),
        TheoryFigure(
            name="fig4",
            title="Figure 4 (computed): the weak gradient leads past the target to the supervisor",
            experiment="trajectories",
            caption="Flow of the exact weak gradient on the half disc spanned by the target (up), the supervisor's own part (right) and a "
            f"remaining direction, he3, lam = {_TRAJECTORY.lams[0]:g}, kappa = {_TRAJECTORY.kappas[0]:g}, "
            f"c_w = {_TRAJECTORY.c_ws[0]:g}. Where shaded, "
            "the distance to the target falls. Lines: mean batch runs of figure 1b; above the dashed line a student beats its supervisor.",
            module="maps",
        ),
        TheoryFigure(
            name="fig5",
            title="Figure 5: condition 1, a detectable spike",
            experiment="spike_strength",
            caption=f"Final distance against the spike strength. {_batch(_LAM)}, step {_LAM.etas[0]:g}. The vertical line is the spectral "
            "threshold sqrt(d/N); dotted curves are the limit equation.",
        ),
        TheoryFigure(
            name="fig6",
            title="Figure 6: condition 2, an aligned spike",
            experiment="alignment",
            caption=f"Final distance against the alignment kappa. {_batch(_ALIGN)}, step {_ALIGN.etas[0]:g}. Below the dashed line "
            "the student beats its supervisor; dotted curves are the limit equation.",
        ),
        TheoryFigure(
            name="fig7",
            title="Figure 7: condition 3, an informative supervisor",
            experiment="weak_quality",
            caption=f"Final distance against the weak correlation c_w, lam = {_WEAK.lams[0]:g}, he3, d = {_WEAK.dimensions[0]}, B = {_WEAK.batch}, "
            f"T = {_WEAK.steps}, N/d = {_WEAK.ratio:g}, step {_WEAK.etas[0]:g}. Below the dashed curve D_w the student beats its supervisor; dotted "
            "curves are the limit equation.",
        ),
        TheoryFigure(
            name="fig8",
            title="Figure 8: condition 4, a stable step",
            experiment="learning_rate",
            caption=f"Final distance against the step from four warm starts. {_batch(_RATE)}, lam = {_RATE.lams[0]:g}, kappa = {_RATE.kappas[0]:g}. "
            "Small steps do not move, middle ones beat the supervisor, larger ones end at it, and too large ones end nowhere (sqrt 2).",
        ),
        TheoryFigure(
            name="fig9",
            title="Figure 9: convexity, bias and pull along pre-training",
            experiment="landscape",
            caption=_landscape_caption(_OF["landscape"]),
        ),
        TheoryFigure(
            name="bound",
            title="Bound (3) beside measured trajectories",
            experiment="bound",
            caption=f"Squared distance against alpha eta mu inside the provable region of softplus(1), "
            f"lam = {_BOUND.lam:g}, kappa = {_BOUND.kappa:g}, supervisor at {_BOUND.supervisor_degrees:g} degrees, "
            f"eta = {_BOUND.fraction:g} of the largest admissible one, d = {_BOUND.dimension}. The bound "
            "holds, with much room; its bias floor lies above the supervisor's own error, so it cannot certify W2SG.",
        ),
        TheoryFigure(
            name="lemma",
            title="Lemma 3.2: without pre-training nothing is learned",
            experiment="random_start",
            caption=f"Overlap with the target along online fine-tuning on true labels from a random start, times sqrt d (mean over runs and their "
            f"largest), he3, lam = {_LEMMA.lams[0]:g}, kappa = {_LEMMA.kappas[0]:g}, eta {_LEMMA.etas[0]:g}, "
            f"T = {_LEMMA.steps} d. Staying of order one means that the "
            "overlap itself vanishes; a warm start m0 = 0.4 reaches the target (right).",
        ),
        TheoryFigure(
            name="sign_rule",
            title="Where the weak loss picks the wrong sign",
            experiment="sign_rule",
            caption=f"Fraction of spectral starts that the weak-loss rule turns away from the target; he3, "
            f"c_w = {_SIGN.c_w:g}, d = {_SIGN.dimension}, N/d = {_SIGN.ratio:g}, {_SIGN.samples} samples. Solid: zero of "
            "the population margin at the limiting overlap; dashed: the same at overlap one.",
            module="maps",
        ),
        TheoryFigure(
            name="phase_lam_kappa",
            title="Phase diagram in spike strength and alignment",
            experiment="phase_lam_kappa",
            caption=_phase_caption(_LAM_KAPPA, "spike strength and alignment", f"c_w = {_LAM_KAPPA.c_w:g}"),
            module="maps",
        ),
        TheoryFigure(
            name="phase_kappa_cw",
            title="Phase diagram in alignment and weak correlation",
            experiment="phase_kappa_cw",
            caption=_phase_caption(_KAPPA_CW, "alignment and weak correlation", f"lam = {_KAPPA_CW.lam:g}"),
            module="maps",
        ),
    )
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
    """Returns a figure's caption with the sizes that the configuration decides.

    Args:
        name: Figure.
        settings: Section ``theory`` of the configuration.
    """
    figure = figure_of(name)
    text, experiment = figure.caption.format(**settings["phase"]), EXPERIMENTS[figure.experiment]
    runs = f" Means over {experiment.runs(settings['seeds'])} runs per setting." if experiment.grids else ""
    return text + runs
