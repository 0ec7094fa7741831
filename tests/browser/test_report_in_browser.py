"""The report in a browser without network: charts are drawn, tooltips speak, menus work, nothing leaves the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.studies import made_evidence
from w2sg.report.page import render

CIRCLES = "#chart-0 svg path[aria-roledescription='circle']"
HOSTILE = "</script><script>alert('x')</script><img src=http://example.invalid/x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(made_evidence(effect=True, layers=range(5))), encoding="utf-8")
    return path


def test_every_panel_is_drawn_and_nothing_is_asked_of_the_network(visit, page_file):
    visited = visit(page_file)
    visited.page.wait_for_selector(CIRCLES)
    # W2SG, ceiling, probe and loss against the step, and two scatter plots, over 23 revisions; two maps of five layers.
    assert visited.page.locator(CIRCLES).count() == 6 * 23
    assert visited.page.locator("#chart-0 svg path[aria-roledescription='rect mark']").count() >= 2 * 5 * 23
    assert visited.page.locator("h2#answer + div p").first.inner_text().startswith("In this run the student ends above")
    # A point for each of five predictors and two head protocols.
    points = "#chart-errors svg path[aria-roledescription='point']"
    visited.page.wait_for_selector(points)
    assert visited.page.locator(points).count() == 5 * 2
    words = visited.page.locator("#chart-0 svg.marks text").all_text_contents()
    assert {"student of permuted labels", "weak on weak", "floor: fewer tokens", "bits per byte"} <= set(words)
    assert (visited.requests, visited.complaints) == ([], [])


def test_pointing_at_a_mark_names_revision_tokens_value_and_interval(visit, page_file):
    page = visit(page_file).page
    page.wait_for_selector(CIRCLES)
    page.locator("#chart-0 svg path[aria-label*='step2048'][aria-roledescription='circle']").first.hover()
    tooltip = page.wait_for_selector("#vg-tooltip-element.visible").inner_text()
    words = tooltip.split()
    assert {"step2048", "2,048", "0.002048", "mean"} <= set(words)
    assert {"revision", "step", "tokens,", "interval", "layer", "seed"} <= set(words)


def test_the_menus_change_what_all_panels_show(visit, page_file):
    page = visit(page_file).page
    page.wait_for_selector(CIRCLES)

    def marks() -> list[str]:
        return page.locator(CIRCLES).evaluate_all("marks => marks.map(mark => mark.getAttribute('aria-label'))")

    menus, seen = page.locator("#menus-0"), [marks()]
    for change in (
        lambda: menus.locator("select[name='layer']").select_option("1"),
        lambda: menus.locator("select[name='seed']").select_option("2"),
        lambda: menus.locator("input[value='converged']").check(),
    ):
        change()
        page.wait_for_function(
            "([path, before]) => document.querySelector(path).getAttribute('aria-label') != before",
            arg=[CIRCLES, seen[-1][0]],
        )
        seen.append(marks())
    assert [len(found) for found in seen] == 4 * [6 * 23]
    assert {"layer: 1", "seed: 2"} <= set("; ".join(seen[-1]).split("; "))


def test_hostile_names_stay_text(visit, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render(made_evidence(effect=True, dataset=HOSTILE)), encoding="utf-8")
    visited = visit(path)
    visited.page.on("dialog", lambda dialog: visited.complaints.append(dialog.message))
    visited.page.wait_for_selector(CIRCLES)
    assert HOSTILE in visited.page.locator("h3").first.inner_text()
    assert visited.page.locator("img").count() == 0
    assert (visited.requests, visited.complaints) == ([], [])
