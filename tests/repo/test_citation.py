"""How one cites and finds the project: references that exist, one address in all places."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_the_paper_cites_what_its_bibliography_has_and_every_entry_can_be_found():
    text = (ROOT / "paper.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    entries = re.split(r"^@", (ROOT / "paper.bib").read_text(encoding="utf-8"), flags=re.M)[1:]
    found = {entry.split("{")[1].split(",")[0]: entry for entry in entries}
    assert set(re.findall(r"@(\w+)", body)) == set(found)
    assert [key for key, entry in found.items() if not re.search(r"\b(doi|url) = \{", entry)] == []
    headings = re.findall(r"^# (.*)$", body, flags=re.M)
    assert {"Summary", "Statement of need", "State of the field", "Software design", "References"} <= set(headings)
    assert yaml.safe_load(head)["bibliography"] == "paper.bib"
    assert 250 <= len(body.split()) <= 1000


def test_the_address_is_the_same_everywhere():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    address = cited["repository-code"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Repository"] == address
    name = address.removeprefix("https://github.com/")
    other = rf"github\.com/(?!{re.escape(name)}\b)[\w-]+/w2sg\b"
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "pyproject.toml"]
    assert [path.name for path in documents if re.search(other, path.read_text(encoding="utf-8"))] == []
    assert cited["references"][0]["doi"] in (ROOT / "paper.bib").read_text(encoding="utf-8")
