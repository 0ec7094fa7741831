"""Names that head protocols go by, and which of their settings is the headline."""

from __future__ import annotations

from typing import Literal

Loss = Literal["soft", "hard", "logconf"]
"""Loss of W2SG heads on soft labels."""

HEADLINE_SETTINGS = {"paper": "selected", "converged": "cv"}
"""Headline setting of each head protocol: chosen without test data."""
