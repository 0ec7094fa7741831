"""Reads the acceptance table, writes how many criteria of each kind hold, and ends in an error that lists those that fail."""

from typing import TYPE_CHECKING

from w2sg.runtime import jobs
from w2sg.runtime.files import atomic_path
from w2sg.tables.files import read_table
from w2sg.tables.theory import ACCEPTANCE, tally

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(*, acceptance: str, output: str, log: str) -> None:
    with jobs.log_to(log):
        table = read_table(acceptance, ACCEPTANCE)
        failed = table[~table["holds"]]
        if len(failed):
            lines = [
                f"{row.section} {row.experiment}: {row.criterion}: expected {row.expected}, measured {row.measured:.4g}"
                for row in failed.itertuples()
            ]
            raise ValueError(f"{len(failed)} of {len(table)} criteria fail\n  " + "\n  ".join(lines))
        with atomic_path(output) as path:
            path.write_text(tally(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(acceptance=snakemake.input["acceptance"], output=snakemake.output[0], log=snakemake.log[0])
