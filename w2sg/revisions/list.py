"""A revision list from the branches of a repository on the Hub, with what was skipped and why.

`python -m w2sg.revisions.list OWNER/NAME --output list.tsv`; names say steps, tokens and seeds by a pattern.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import HfApi

from w2sg.revisions import hub
from w2sg.revisions.folders import RevisionError
from w2sg.revisions.retries import DamagedFile, Patience, persist
from w2sg.runtime.files import atomic_path
from w2sg.study.lists.rows import HUB_DEFAULT, Revision, check_name, read_revisions

PATTERN = r"(?:stage1-|global_)?step[-_]?(?P<step>\d+)(?:-tokens(?P<tokens>\d+)B)?(?:-seed-(?P<seed>.+))?"
"""Names of the suites that are known: `step1000`, `stage1-step1000-tokens3B`, `step-1000`, `step1000-seed-default`."""


@dataclass(frozen=True, kw_only=True)
class BranchList:
    """A revision list that was made of branches."""

    rows: list[Revision] = field(default_factory=list)
    """By seed and step."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Branches that are no row, with the reason."""

    def text(self) -> str:
        """Returns the list as a file holds it; without a column seed where no name says one."""
        columns = ["index", "revision", "step", "tokens_billion", "seed", "commit", "evidence"]
        if not any(row.seed for row in self.rows):
            columns.remove("seed")
        lines = ["\t".join(columns)]
        places: dict[str, int] = {}
        for row in self.rows:
            places[row.seed] = index = places.get(row.seed, -1) + 1
            cells = {"index": index, "revision": row.name, "tokens_billion": f"{row.tokens:.6f}", "evidence": "listed"}
            lines.append("\t".join(str(cells.get(column, getattr(row, column, ""))) for column in columns))
        return "\n".join(lines) + "\n"


def list_branches(repo: str, *, patience: Patience | None = None) -> dict[str, str]:
    """Returns the commit of every branch of a repository, in one request.

    Raises:
        RevisionError: If the repository is not there, or the Hub cannot be reached.
    """
    address = hub.endpoint()

    def ask() -> dict[str, str]:
        try:
            return {branch.name: branch.target_commit for branch in HfApi().list_repo_refs(repo).branches}
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedFile(f"the answer cannot be read ({type(error).__name__}: {error})") from None

    return persist(ask, what=f"list the branches of {repo} on {address}", patience=patience or Patience())


def make_list(
    branches: Mapping[str, str], *, pattern: str = PATTERN, tokens_per_step: float | None = None
) -> BranchList:
    """Returns the rows that branches make, and what was skipped.

    A name that no revision may have is changed to one it may have: the commit leads to the branch.

    Args:
        branches: Commit of each branch.
        pattern: Regular expression of a whole name with the group ``step``; ``tokens`` (billions) and ``seed`` if it says them.
        tokens_per_step: Training tokens of a step; without it names must say the tokens.

    Raises:
        ValueError: If the pattern has no group ``step``, or names that match say no tokens.
    """
    compiled = re.compile(pattern)
    if "step" not in compiled.groupindex:
        raise ValueError(f"--pattern {pattern!r} has no group named step: (?P<step>...)")
    matches = {name: compiled.fullmatch(name) for name in branches}
    seeded = any(match and match.groupdict().get("seed") for match in matches.values())
    made = BranchList()
    for name, match in matches.items():
        if name == HUB_DEFAULT:
            made.skipped[name] = "the final weights, with which audits compare the others"
        elif match is None:
            made.skipped[name] = "its name does not match the pattern"
        elif seeded and not match.groupdict().get("seed"):
            made.skipped[name] = "its name says no seed, and others do"
        else:
            try:
                made.rows.append(_row(name, branches[name], match.groupdict(), tokens_per_step))
            except ValueError as error:
                made.skipped[name] = str(error)
    made.rows.sort(key=lambda row: (row.seed, row.step, row.name))
    return made


def _row(name: str, commit: str, said: Mapping[str, str | None], tokens_per_step: float | None) -> Revision:
    step, seed = int(said["step"] or ""), said.get("seed") or ""
    usable = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-")
    check_name(usable)
    if seed:
        check_name(seed)
    if tokens_per_step is not None:
        tokens = step * tokens_per_step / 1e9
    elif said.get("tokens") or step == 0:
        tokens = float(said.get("tokens") or 0)
    else:
        raise ValueError("its name says no tokens: give --tokens-per-step")
    if step and not tokens:
        raise ValueError("its name says 0 billion tokens after step 0: give --tokens-per-step")
    return Revision(name=usable, step=step, tokens=tokens, commit=commit, seed=seed)


def write_list(arguments: Sequence[str] | None = None) -> int:
    """Writes a list, and what was skipped to standard error; returns the exit status. A list that no study reads is not kept."""
    parser = argparse.ArgumentParser(prog="python -m w2sg.revisions.list", description=__doc__)
    parser.add_argument("repo", help="owner/name on the Hub")
    parser.add_argument("--pattern", default=PATTERN, help="regular expression with the group step; tokens, seed")
    parser.add_argument("--tokens-per-step", type=float, help="training tokens of a step: sequences x their length")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    given = parser.parse_args(arguments)
    try:
        branches = list_branches(given.repo)
        made = make_list(branches, pattern=given.pattern, tokens_per_step=given.tokens_per_step)
        for name, reason in made.skipped.items():
            print(f"skipped {name}: {reason}", file=sys.stderr)
        print(f"{given.repo}: {len(made.rows)} of {len(branches)} branches are in the list", file=sys.stderr)
        with atomic_path(given.output) as path:
            path.write_text(made.text(), encoding="utf-8")
            read_revisions(path)
    except (RevisionError, ValueError, re.error) as error:
        print(f"{given.output} is not written: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(write_list())
