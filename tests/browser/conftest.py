"""A headless Chromium that records what a page asks for and complains about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A page opened from disk."""

    page: Any
    """Playwright's page."""
    requests: list[str] = field(default_factory=list)
    """Addresses that the page asked for, its own file apart."""
    complaints: list[str] = field(default_factory=list)
    """Console warnings and errors, and uncaught exceptions."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium of the system; the tests are skipped where there is none."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed")
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def visit(browser) -> Iterator[Any]:
    """Returns a function that opens a file and records what happens."""
    pages = []

    def opened(file: Path, *, width: int = 1280, scheme: str = "light") -> Visit:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        found = Visit(page=page)
        own = file.as_uri()
        page.on("request", lambda request: request.url.split("#")[0] == own or found.requests.append(request.url))
        page.on(
            "console", lambda message: message.type in ("error", "warning") and found.complaints.append(message.text)
        )
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        page.goto(own)
        return found

    yield opened
    for page in pages:
        page.close()
