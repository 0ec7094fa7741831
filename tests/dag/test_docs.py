"""Every command and example of the documents is run, planned or parsed, as its fence says."""

from __future__ import annotations

import pytest

from tests.doc_blocks import PAGES, ROOT, Block, Checkout, blocks_of, check_plannable

WITH_BLOCKS = [page for page in PAGES if blocks_of(page)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    return Checkout.at(tmp_path_factory.mktemp("docs") / "w2sg")


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_do_what_they_say(page, checkout):
    for block in blocks_of(page):
        checkout.execute(block)


def test_the_pages_are_found_and_no_fence_is_missed():
    assert {"README.md", "docs/tutorial.md", "results/README.md"} <= {str(p.relative_to(ROOT)) for p in WITH_BLOCKS}
    for page in PAGES:
        fences = [
            line for line in page.read_text(encoding="utf-8").splitlines() if line.strip().startswith(("```", "~~~"))
        ]
        directives = sum("{" in line for line in fences)
        assert len(fences) == 2 * (len(blocks_of(page)) + directives), page


def block(language: str, marker: str, code: str) -> Block:
    return Block(place="page.md:1", language=language, marker=marker, code=code)


@pytest.mark.parametrize(
    ("language", "marker"),
    [("", ""), ("bash", ""), ("bash", "parse:"), ("python", "dry"), ("yaml", "file=../x"), ("c", "run")],
)
def test_a_block_must_say_what_it_is_for(language, marker):
    with pytest.raises(ValueError, match="page.md:1: a block is marked"):
        block(language, marker, "").check()


def test_what_cannot_be_planned_is_refused():
    check_plannable(block("bash", "dry", "A=1 snakemake \\\n  --cores 1  # rm\nmake sweep ARGS='-n'\n\n"))
    with pytest.raises(ValueError, match="'rm' cannot be planned"):
        check_plannable(block("bash", "dry", "snakemake\nrm -r x"))


def test_failing_blocks_are_seen(checkout):
    for bad in [
        ("bash", "run", "false\ntrue"),
        ("bash", "dry", "snakemake no_such_target"),
        ("python", "run", "1 / 0"),
    ]:
        with pytest.raises(AssertionError, match="page.md:1"):
            checkout.execute(block(*bad))
    with pytest.raises(AssertionError, match="page.md:1"):
        checkout.execute(block("bash", "parse: control", "if"))
