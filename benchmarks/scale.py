"""Times Snakemake itself on sweeps of many revisions: plan, rerun with nothing to do, rerun with five tables lost.

    python benchmarks/scale.py --revisions 471 4710          writes benchmarks/results/scale.tsv

The workflow is the real one with the paper's families, their revision lists cut or extended to the wanted number, two
datasets and the shipped profile. No job runs: outputs are stand-ins of one byte with the metadata that Snakemake would
have written, so that what is timed is parsing, the DAG and the decision what to run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import machine
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
SHARE = 154 / 471
"""Part of the revisions that the first family has, as in the paper's study."""
LOST = 5


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One measured command."""

    revisions: int
    """Revisions of both families together."""
    action: str
    """What was timed."""
    jobs: int
    """Jobs that the plan lists; 0 where there was nothing to do."""
    wall: float
    """Seconds until the command ended."""
    cpu: float
    """Processor seconds, user and system."""
    memory: float
    """Largest resident set, MB."""


def write_study(folder: Path, revisions: int) -> None:
    """Writes lists of ``revisions`` revisions in two families, and the configuration that sweeps them all."""
    first = round(revisions * SHARE)
    models, families = {}, {}
    for name, weak, count in (("pythia-6.9b", "pythia-1b", first), ("olmo-7b", "olmo-1b", revisions - first)):
        rows = [f"step{k}\t{k}\t{k * 0.002:.3f}" for k in range(count)]
        path = folder / f"{name}.tsv"
        path.write_text("\n".join(["revision\tstep\ttokens_billion", *rows]) + "\n")
        models[f"{name}-long"] = {"source": "hub", "repo": f"x/{name}", "dtype": "bfloat16", "revisions": str(path)}
        families[f"{name}-long"] = {"strong": f"{name}-long", "weak": weak}
    study = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
    study["sweep"]["families"] = list(families)
    (folder / "study.yaml").write_text(yaml.safe_dump(study | {"models": models, "families": families}))


def arguments(*more: str) -> list[str]:
    """Returns Snakemake's arguments for the study in the working directory."""
    profile = str(ROOT / "profiles" / "default")
    fixed = [
        "--snakefile",
        str(ROOT / "workflow" / "Snakefile"),
        "--workflow-profile",
        profile,
        "--configfile",
        "study.yaml",
    ]
    return [*fixed, "--cores", "2", *more]


def measure(folder: Path, revisions: int, action: str, *more: str) -> Timing:
    """Returns the cost of one Snakemake command, which must succeed."""
    with (folder / "out.txt").open("w+") as out:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments(*more)], cwd=folder, stdout=out, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        out.seek(0)
        text = out.read()
    if status:
        raise RuntimeError(f"{action} failed:\n{text[-3000:]}")
    total = [line.split()[1] for line in text.splitlines() if line.startswith("total ")]
    return Timing(
        revisions=revisions,
        action=action,
        jobs=int(total[0]) if total else 0,
        wall=round(wall, 2),
        cpu=round(usage.ru_utime + usage.ru_stime, 2),
        memory=round(usage.ru_maxrss / 1024),
    )


def pretend_finished() -> None:
    """Builds the DAG in the working directory and leaves what a finished run leaves, except the content."""
    from snakemake import cli, workflow

    build = workflow.Workflow._build_dag

    def build_and_fill(self: workflow.Workflow) -> None:
        build(self)
        assert self.dag is not None and self.persistence is not None
        now = time.time() - 3600
        for job in self.dag.jobs:
            for output in job.output:
                Path(output).parent.mkdir(parents=True, exist_ok=True)
                Path(output).write_text("x")
                os.utime(output, (now, now))
        for job in self.dag.jobs:
            if job.output:
                self.async_run(self.persistence.finished(job))
        raise SystemExit(0)

    workflow.Workflow._build_dag = build_and_fill
    cli.main(arguments("-n", "-q"))


def run(revisions: int) -> list[Timing]:
    """Returns the timings of one size of sweep."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_study(folder, revisions)
        timings = [measure(folder, revisions, "plan", "-n", "-q", "rules")]
        subprocess.run([sys.executable, __file__, "--pretend-finished"], cwd=folder, check=True)
        timings.append(measure(folder, revisions, "nothing to do", "-q", "rules"))
        tables = sorted(folder.glob("results/metrics/*/*/*.parquet"))
        for path in tables[:: len(tables) // LOST][:LOST]:
            path.unlink()
        timings.append(measure(folder, revisions, f"plan, {LOST} tables lost", "-n", "-q", "rules"))
        one = str(tables[0].relative_to(folder))
        timings.append(measure(folder, revisions, "plan, one table named", one, "-n", "-q", "rules"))
    return timings


def main() -> None:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--revisions", type=int, nargs="+", default=[471])
    parser.add_argument("--pretend-finished", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pretend_finished:
        pretend_finished()
        return
    rows = [asdict(timing) for revisions in options.revisions for timing in run(revisions)]
    typed = f"python benchmarks/scale.py --revisions {' '.join(map(str, options.revisions))}"
    machine.save(pd.DataFrame(rows), "scale", machine=machine.describe(["snakemake"]), command=typed)


if __name__ == "__main__":
    main()
