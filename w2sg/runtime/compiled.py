"""Compilation of inner loops that no array library runs in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """Returns the function compiled without the interpreter lock, cached on disk where a folder is writable."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # read-only checkout and home: compile once per process instead
        return njit(nogil=True)(function)
