"""Prints what a run of the study would stop at, a line each; ends in an error if there is a fault."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2sg.command import checks
from w2sg.revisions.offline import read_answers
from w2sg.runtime import jobs
from w2sg.study.costs import PlannedStudy

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    models: Mapping[str, Mapping[str, Any]],
    study: Mapping[str, Any],
    costs: str,
    rates: str,
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log):
        known = {name: checks.Checked(**facts) for name, facts in models.items()}
        described = PlannedStudy(**study)
        hub = {name: one for name, one in known.items() if name in described.repos}
        answers = {name: read_answers(Path(one.kept), one.entry["repo"]).get(one.revision) for name, one in hub.items()}
        sizes = {name: answer for name, answer in answers.items() if answer is not None}
        found = [
            *checks.check_revisions(known, config),
            checks.check_disk(described, Path(config["scratch"]), sizes, costs=Path(costs), rates=Path(rates)),
            *filter(None, [checks.check_requests(known)]),
            checks.try_smallest(known, config),
        ]
    sys.stdout.writelines(f"{state}: {text}\n" for state, text in found)
    if any(state == "fault" for state, _ in found):
        raise SystemExit(1)


if __name__ == "__main__":
    main(
        models=snakemake.params["models"],
        study=snakemake.params["study"],
        costs=snakemake.input["costs"],
        rates=snakemake.input["rates"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
