"""The report in a browser without network: charts at both widths and in both schemes, tooltips, menus, what is saved; nothing leaves the page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.studies import made_evidence
from w2sg.report.page import render

POINTS = "#plot-0-trajectory svg path[aria-roledescription='point']"
HOSTILE = "</script><script>alert('x')</script><img src=http://example.invalid/x onerror=alert(1)>"
STEPS = (0, 8, 2048)


def evidence(**changes):
    shares = {"corrected": 0.1, "spoiled": 0.05, "same_as_last": 0.9, "error_to_last": 0.01, "n": 100}
    keys = {"family": "nano", "dataset": "newsgroups_tech", "protocol": "paper", "seed": 0}
    agreement = pd.DataFrame([{**keys, "step": step, **shares} for step in STEPS])
    return made_evidence(effect=True, **({"agreement": agreement} | changes))


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(evidence(layers=range(5))), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_chart_is_drawn_within_the_page_and_nothing_is_asked_of_the_network(visit, page_file, width, scheme):
    visited = visit(page_file, width=width, scheme=scheme)
    page = visited.page
    page.wait_for_function("document.querySelectorAll('.plot svg').length == document.querySelectorAll('.plot').length")
    assert page.locator(".plot").count() == 2 + 7 + 2  # overview of two protocols; a case; errors of two protocols
    assert page.locator(POINTS).count() == 3 * 23
    assert page.locator("#plot-0-layers_w2s svg path[aria-roledescription='rect mark']").count() == 5 * 23
    assert page.locator("#plot-errors-errors_0 svg path[aria-roledescription='point']").count() == 7
    assert page.locator("#plot-0-corrected svg path[aria-roledescription='point']").count() == 2 * len(STEPS)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes = page.locator(".plot svg").evaluate_all("plots => plots.map(plot => plot.getBoundingClientRect().right)")
    assert max(boxes) <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    labels = page.locator("#plot-0-trajectory svg .role-axis-label text").evaluate_all(
        "all => all.map(one => getComputedStyle(one).fill)"
    )
    assert labels and set(labels) == {page.evaluate("getComputedStyle(document.body).color")}
    words = page.locator(".legend").all_inner_texts()
    assert {
        "student of permuted labels",
        "weak on weak",
        "floor: fewer tokens",
        "chance",
        "onset, with its interval",
    } <= set("\n".join(words).split("\n"))
    assert page.locator(".answer p").count() == 3
    assert (visited.requests, visited.complaints) == ([], [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_a_keyboard_or_a_screen_reader_out(visit, page_file, scheme):
    page = visit(page_file, width=390, scheme=scheme).page
    page.wait_for_selector(POINTS)
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    found = Axe().run(page).response["violations"]
    assert [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")] == []


def test_pointing_at_a_mark_names_revision_tokens_value_and_interval(visit, page_file):
    page = visit(page_file).page
    page.wait_for_selector(POINTS)
    page.locator(f"{POINTS}[aria-label*='step2048']").first.hover()
    tooltip = page.wait_for_selector("#vg-tooltip-element.visible").inner_text()
    assert {"step2048", "2,048", "2.048M", "mean"} <= set(tooltip.split())
    assert {"revision", "step", "tokens", "interval", "layer", "seed"} <= set(tooltip.split())


def test_the_menus_change_what_all_charts_of_a_case_show(visit, page_file):
    page = visit(page_file).page
    page.wait_for_selector(POINTS)

    def marks() -> list[str]:
        return page.locator(POINTS).evaluate_all("marks => marks.map(mark => mark.getAttribute('aria-label'))")

    seen = [marks()]
    for name, entry in (("layer", "1"), ("seed", "2"), ("heads", "converged")):
        page.locator(f"#menus-0 select[data-signal='{name}']").select_option(entry)
        page.wait_for_function(
            "([path, before]) => document.querySelector(path).getAttribute('aria-label') != before",
            arg=[POINTS, seen[-1][0]],
        )
        seen.append(marks())
    assert [len(found) for found in seen] == 4 * [3 * 23]
    assert {"layer: 1", "seed: 2"} <= set("; ".join(seen[-1]).split("; "))


@pytest.mark.parametrize(("kind", "begins"), [("csv", b"series,layer,"), ("svg", b"<svg"), ("png", b"\x89PNG")])
def test_every_chart_can_be_saved_from_inside_the_file(visit, page_file, kind, begins):
    page = visit(page_file).page
    page.wait_for_selector(POINTS)
    with page.expect_download() as waiting:
        page.locator(f"button[data-plot='plot-0-trajectory'][data-save='{kind}']").click()
    assert waiting.value.suggested_filename == f"nano-newsgroups_tech-trajectory.{kind}"
    assert Path(waiting.value.path()).read_bytes().startswith(begins)


def test_a_table_can_be_saved_with_plain_numbers(visit, page_file):
    page = visit(page_file).page
    with page.expect_download() as waiting:
        page.locator("button[data-name='summary']").click()
    table = pd.read_csv(waiting.value.path())
    assert table["heads"].tolist() == ["paper", "converged"] and table["weak"].dtype == float


def test_folded_parts_are_printed(visit, page_file, tmp_path):
    page = visit(page_file).page
    page.wait_for_selector(POINTS)
    page.pdf(path=tmp_path / "report.pdf")
    assert page.locator("details:not(.long):not([open])").count() == 0


def test_hostile_names_stay_text(visit, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render(made_evidence(effect=True, dataset=HOSTILE)), encoding="utf-8")
    visited = visit(path)
    visited.page.on("dialog", lambda dialog: visited.complaints.append(dialog.message))
    visited.page.wait_for_selector(POINTS)
    assert HOSTILE in visited.page.locator("h3").first.inner_text()
    assert visited.page.locator("img").count() == 0
    assert (visited.requests, visited.complaints) == ([], [])
