"""Checks of settings: each raises an error that names the parameter, its value and the allowed range."""

from __future__ import annotations

import math


def require_positive(name: str, value: float) -> None:
    """Checks a positive setting.

    Raises:
        ValueError: If ``value`` is not positive and finite.
    """
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive and finite, got {value!r}")


def require_within(name: str, value: float, low: float, high: float) -> None:
    """Checks a setting with a closed range.

    Raises:
        ValueError: If ``value`` is outside [low, high].
    """
    if not low <= value <= high:
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}], got {value!r}")


def require_count(name: str, value: int, least: int) -> None:
    """Checks an integer setting; integers of numpy are taken too.

    Raises:
        ValueError: If ``value`` is not an integer of at least ``least``.
    """
    whole = hasattr(value, "__index__") and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")


def require_spike(lam: float, kappa: float) -> None:
    """Checks a spike strength and an alignment.

    Raises:
        ValueError: If ``lam`` is not positive and finite or ``kappa`` outside [0, 1].
    """
    require_positive("lam", lam)
    require_within("kappa", kappa, 0, 1)
