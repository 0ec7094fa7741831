"""Zeros where a file of weights has no numbers: what an unfinished copy leaves, or a hole, while size and header are right.

A weight may be zeros by its initialisation: biases, norms that are stored less one, outputs of blocks and heads. So a weight is
compared with the same one of other blocks, which were initialised alike and have learned as much.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

END = 4096
"""Numbers at the end of a weight that are looked at, before it is loaded."""

RUN = 1024
"""Numbers in a row that are never zeros by chance: half of a page of a file, or less."""

_BLOCK = re.compile(r"(?<=\.)\d+(?=\.)")
_ADDED = re.compile(r"\.(\w*out_?proj|o_proj|down_proj|c_proj|w?o|fc2|w2|fc_out|dense|dense_4h_to_h)\.weight$")
"""What a block adds to its input with; blocks that were put into a trained model begin with zeros there."""

_LEAST = 64
"""Numbers of a weight that is looked at: a gate of a few may be zero."""


def odd_zeros(runs: Mapping[str, tuple[Sequence[int], bool]], is_zero: Callable[[str], bool]) -> str:
    """Returns a weight that has a run of zeros and cannot mean it, empty text if there is none.

    That is one whose counterpart in another block does not; or any matrix, if those of all blocks do.

    Args:
        runs: Shape, and whether the end is zeros or :data:`RUN` numbers in a row are, by name.
        is_zero: Whether all of a weight is zeros; asked of few.
    """
    kinds: dict[str, dict[str, bool]] = defaultdict(dict)
    for name, (shape, zero) in runs.items():
        weighs = len(shape) > 1 or name.endswith(
            "weight"
        )  # other vectors, such as biases, may stay zero in single blocks
        if _BLOCK.search(name) and weighs and math.prod(shape) >= _LEAST:
            kinds[_BLOCK.sub("*", name)][name] = zero
    for kind, found in kinds.items():
        if any(found.values()) and not all(found.values()):
            for name in (name for name, zero in found.items() if zero):
                if not (_ADDED.search(kind) and is_zero(name)):
                    return name
    matrices = {
        name: zero
        for kind, found in kinds.items()
        if not _ADDED.search(kind)
        for name, zero in found.items()
        if len(runs[name][0]) > 1
    }
    return next(iter(matrices), "") if all(matrices.values()) else ""


def say(name: str) -> str:
    """Returns what is wrong with a file that holds such a weight, in words that follow its name."""
    return f"holds zeros where numbers are expected (first in {name}): it was not copied whole, or has holes; copy it again"


def safetensors_zeros(path: Path, start: int, header: Mapping[str, Any]) -> str:
    """Returns such a weight of a file of safetensors that ends in zeros; of others little is read, and their holes are not told.

    Args:
        path: The file.
        start: Where its numbers begin.
        header: What it says of each weight.
    """
    with path.open("rb") as file:

        def zeros(name: str, most: int) -> bool:
            first, last = header[name]["data_offsets"]
            file.seek(start + max(first, last - most))
            return not file.read(min(most, last - first)).strip(b"\0")

        places = {name: one["data_offsets"] for name, one in header.items() if name != "__metadata__"}
        if not places or not zeros(max(places, key=lambda name: places[name][1]), END):
            return ""
        floats = {name: header[name]["shape"] for name in places if header[name]["dtype"].startswith(("F", "BF"))}
        runs = {name: (shape, zeros(name, END * 4)) for name, shape in floats.items()}
        return odd_zeros(runs, lambda name: zeros(name, 1 << 62))
