"""Labels of single texts: what a value is called, and which of the classes is told from the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator

from w2sg.study.texts.spelling import normalise, visible

_SHOWN = 8
"""Labels listed in one message."""

_NOTHING = ("nan", "<na>")
"""What tables of text hold where there is no label; `none` may be a class."""

_WHOLE = re.compile(r"([+-]?[0-9]{1,18})(?:\.0+)?")

UNLABELLED = "-1"
"""Stands for no label in datasets of the Hub that name their classes by numbers."""


def label_name(value: Any) -> str:
    """Returns what labels are compared by: `1`, `1.0`, `"1"`, `"+1"` and `"01"` are one, and so are `true`, `"True"` and `"TRUE"`.

    Raises:
        ValueError: If a value is missing, or cannot be a label.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or value != value or (isinstance(value, str) and not visible(value).strip()):
        raise ValueError("label is missing")
    if not isinstance(value, str | bool | int | float):
        raise ValueError(f"label is of type {type(value).__name__}, expected a text, a number, true or false")
    name = str(value).strip()
    if name.lower() in _NOTHING:
        raise ValueError(f"label is {name}, which stands for none")
    whole = _WHOLE.fullmatch(name)
    return name.lower() if name.lower() in ("true", "false") else str(int(whole[1])) if whole else name


Label = Annotated[str, BeforeValidator(label_name)]
"""A label in the configuration, which YAML may read as a number or a truth value."""


def positive_label(labels: Iterable[str], wanted: str | None) -> str:
    """Returns the label of the positive class, which is told from the rest: the wanted one, or of two the last, or larger number.

    Raises:
        ValueError: If there is one label only, the wanted one is not there, there are several and none is wanted, or two
            differ by case, width, spaces or characters that cannot be seen only.
    """
    found = sorted(set(labels), key=lambda label: (0, int(label), "") if _WHOLE.fullmatch(label) else (1, 0, label))
    names: dict[str, str] = {}
    for label in found:
        if (other := names.setdefault(normalise(label), label)) != label:
            raise ValueError(f"labels {other!a} and {label!a} are one but for how they are written; write them alike")
    shown = ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    if len(found) < 2:
        raise ValueError(f"every text has the same label ({shown or 'none'}), expected two classes")
    if UNLABELLED in found and len(found) > 2 and all(map(_WHOLE.fullmatch, found)):
        raise ValueError(
            f"labels are {shown}, and {UNLABELLED} stands for none in many datasets; leave these rows out, or name the class otherwise"
        )
    if wanted is None and len(found) > 2:
        raise ValueError(f"there are {len(found)} labels ({shown}); set positive to the one to be told from the rest")
    if wanted is not None and wanted not in found:
        raise ValueError(f"no text has the label {wanted!r}; labels are {shown}; correct positive")
    return wanted or found[-1]
