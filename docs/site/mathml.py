r"""Formulas as MathML, which browsers draw by themselves: no script, no font, no network.

The number in ``\tag{...}`` stands beside a formula and is its anchor, ``#equation-<number>``.
"""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

_TAG = re.compile(r"\\tag\{([^}]*)\}")


def numbers(text: str) -> list[str]:
    """Returns the numbers of the equations in a text, in order."""
    return _TAG.findall(text)


def anchor(number: str) -> str:
    """Returns the anchor of a numbered equation."""
    return f"equation-{number}"


def display(latex: str) -> str:
    """Returns a displayed formula as HTML, with its number beside it.

    Raises:
        ValueError: If a command of LaTeX is not known to the converter; the message names it.
    """
    found = numbers(latex)
    formula = to_mathml(_TAG.sub("", latex), "block")
    if not found:
        return f'<div class="equation">{formula}</div>\n'
    (number,) = map(html.escape, found)
    return f'<div class="equation" id="{anchor(number)}">{formula}<a href="#{anchor(number)}">({number})</a></div>\n'


def to_mathml(latex: str, mode: str) -> str:
    """Returns a formula as MathML; ``mode`` is ``inline`` or ``block``.

    Raises:
        ValueError: If a command is left over.
    """
    formula = convert(latex.strip(), display=mode)
    left = re.search(r"\\[A-Za-z]+|&#x0005C;[A-Za-z]*", formula)
    if left:
        raise ValueError(f"formula {latex!r}: {left.group()} has no MathML; write it in another way")
    return formula


def _visit_inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(to_mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _visit_block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(display(node.astext()))
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
