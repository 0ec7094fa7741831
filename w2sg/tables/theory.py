"""Declared tables of the theory branch; results/README.md is their prose twin."""

from __future__ import annotations

import pyarrow as pa

from w2sg.tables.files import TableSchema


def _text(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.string(), nullable=False) for name in names]


def _real(*names: str, nullable: bool = False) -> list[pa.Field]:
    return [pa.field(name, pa.float64(), nullable=nullable) for name in names]


def _whole(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.int64(), nullable=False) for name in names]


RUNS = TableSchema(
    name="theory_runs",
    fields=pa.schema(
        [
            *_text("experiment", "variant"),
            *_whole("dimension"),
            *_real("lam", "kappa", "c_w", "eta"),
            *_real("m0", nullable=True),
            *_whole("seed", "step"),
            *_real("m", "q", "w", "distance", "risk", "weak_loss", "weak_distance", "weak_risk"),
        ]
    ),
    keys=("experiment", "variant", "dimension", "lam", "kappa", "c_w", "eta", "m0", "seed", "step"),
)
"""Fine-tuning runs at their recorded steps; ``m0`` is null for the spectral start.

``m, q, w`` = <theta, theta*>, <theta, v>, <theta, theta_w>; ``weak_distance`` and ``weak_risk`` belong to theta_w.
"""

LANDSCAPE = TableSchema(
    name="theory_landscape",
    fields=pa.schema([*_text("case"), *_real("lam"), *_whole("seed", "step"), *_real("angle", "mu", "eps", "pull")]),
    keys=("case", "seed", "step"),
)
"""Landscape metrics along power iteration; ``angle`` in degrees."""

SIGNS = TableSchema(
    name="theory_signs",
    fields=pa.schema(
        [
            *_real("lam", "kappa"),
            *_whole("seed"),
            pa.field("wrong", pa.bool_(), nullable=False),
            *_real("margin"),
        ]
    ),
    keys=("lam", "kappa", "seed"),
)
"""Choices of the weak-loss sign rule; ``margin`` is the population margin at the drawn start, truth-oriented."""

REGION = TableSchema(
    name="theory_region",
    fields=pa.schema([*_text("check", "case"), *_real("value"), *_real("bound", nullable=True)]),
    keys=("check", "case"),
)
"""Constants, radii and numerical checks of the effective region: a value and what bounds it, if anything."""

AGREEMENT = TableSchema(
    name="theory_agreement",
    fields=pa.schema([*_text("check", "engine"), *_whole("batch", "seed"), *_real("m", "q", "w")]),
    keys=("check", "engine", "batch", "seed"),
)
"""Final overlaps of the same setting in two engines."""

BOUND = TableSchema(
    name="theory_bound",
    fields=pa.schema([*_text("curve"), *_whole("seed"), *_real("time", "squared_distance")]),
    keys=("curve", "seed", "time"),
)
"""Squared distance against alpha eta mu: the bound, its limit, measured runs."""

PHASE = TableSchema(
    name="theory_phase",
    fields=pa.schema(
        [
            *_real("lam", "kappa", "c_w"),
            *_whole("dimension", "seeds"),
            *_real("success", "success_risk", "wrong_sign", "distance", "weak_distance"),
            *_real("limit_overlap", "limit_margin", "limit_distance"),
        ]
    ),
    keys=("lam", "kappa", "c_w"),
)
"""Success fractions per cell, beside the predictions of spectral law, sign rule and limit flow."""

ACCEPTANCE = TableSchema(
    name="theory_acceptance",
    fields=pa.schema(
        [
            *_text("section", "experiment", "criterion", "expected"),
            *_real("measured"),
            *_real("standard_error", nullable=True),
            *_whole("seeds"),
            pa.field("holds", pa.bool_(), nullable=False),
        ]
    ),
    keys=("section", "experiment", "criterion"),
)
"""Acceptance criteria: what was expected, what was measured, and whether it holds."""

FIGURE = TableSchema(
    name="theory_figure",
    fields=pa.schema([*_text("panel", "series"), *_real("x"), *_real("y", "value", "low", "high", nullable=True)]),
    keys=("panel", "series", "x", "y"),
)
"""What a figure shows: lines (``y`` null; ``low`` and ``high`` are one standard error) or values on a plane."""

RADII = TableSchema(
    name="theory_radii",
    fields=pa.schema(
        [
            *_text("example"),
            *_real("lam"),
            *_real("kappa", nullable=True),
            *_real("c1", "c2", "c3", "c_sig", "l1", "l2", "r_conv", "r_drift", "radius", "degrees"),
        ]
    ),
    keys=("example", "lam"),
)
"""Worked radii of the effective region; ``kappa`` is null where the radius does not depend on it."""
