"""The built site must open from disk without network: no page may load anything from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

_LOADED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=["']((?:https?:)?//[^"']+)""")
_IMPORTED = re.compile(r"""(?:@import\s+|url\()["']?((?:https?:)?//[^"')]+)""")


def loaded_from_elsewhere(folder: Path) -> list[str]:
    """Returns what pages and style sheets of a folder load over the network, as ``file: address``."""
    found = []
    for suffix, pattern in ((".html", _LOADED), (".css", _IMPORTED)):
        for path in sorted(folder.rglob(f"*{suffix}")):
            found += [f"{path.relative_to(folder)}: {address}" for address in pattern.findall(path.read_text("utf-8"))]
    return found


def _check(app: Sphinx, exception: Exception | None) -> None:
    found = loaded_from_elsewhere(Path(app.outdir)) if exception is None else []
    if found:
        raise ExtensionError(f"the site would need a network for: {', '.join(found[:10])}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Checks the pages when all of them are written."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
