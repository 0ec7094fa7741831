"""Condenses the long table into a summary (CSV), a text for the terminal, and the study's acceptance bands."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from w2sg.report.sentences import summary_text
from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
from w2sg.study.sections import Statistics
from w2sg.tables import origins, schemas
from w2sg.tables.files import read_table
from w2sg.trajectories import bands, coverage, summary
from w2sg.trajectories.selection import shown_rows
from w2sg.trajectories.series import Listed

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    *,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    banded: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    confidence: float,
    made: Mapping[str, Any],
    config: Mapping[str, Any],
    log: str,
) -> None:
    with jobs.log_to(log):
        origin = origins.trace("summarize_sweep", made, inputs.values(), config=config)
        exclude, settings = made["audit"]["exclude"], Statistics(**made["statistics"])
        frame = read_table(inputs["metrics"], schemas.METRICS, where=shown_rows())
        hashes = read_table(inputs["audit"], schemas.AUDIT)
        flagged = coverage.left_out(frame, hashes).assign(excluded=exclude)
        moved = coverage.moved_since(frame, hashes).assign(excluded=False)
        frame = coverage.exclude_flagged(frame, hashes) if exclude else frame
        far = coverage.far_from_neighbours(frame).assign(excluded=False)
        named = pd.concat([part for part in (flagged, far, moved) if len(part)] or [flagged])
        tables = {
            "table": summary.summarize(
                frame,
                correlations=read_table(inputs["correlations"], schemas.CORRELATIONS),
                transitions=read_table(inputs["transitions"], schemas.TRANSITIONS),
                prediction=read_table(inputs["prediction"], schemas.PREDICTION),
                groups=groups,
                settings=settings,
                confidence=confidence,
                listed={name: Listed(**one) for name, one in made.get("listed", {}).items()},
            ),
            "acceptance": bands.judge_nano(frame, families=banded, late_share=settings.late),
            "excluded": named,
        }
        for name, table in tables.items():
            with atomic_path(outputs[name]) as path:
                table.to_csv(path, index=False, float_format="%.6g")
        wanted = read_table(inputs["completeness"], schemas.COMPLETENESS)
        texts = {
            "text": summary_text(tables["table"], bands=tables["acceptance"], completeness=wanted, named=named),
            "origin": json.dumps(origin, sort_keys=True, indent=1),
        }
        for name, text in texts.items():
            with atomic_path(outputs[name]) as path:
                path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(
        inputs=dict(snakemake.input.items()),
        outputs=dict(snakemake.output.items()),
        banded=snakemake.params["banded"],
        groups=snakemake.params["groups"],
        confidence=snakemake.params["confidence"],
        made=snakemake.params["made"],
        config=snakemake.config,
        log=snakemake.log[0],
    )
