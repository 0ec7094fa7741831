"""Reads the acceptance table, lists the criteria that fail, and ends in an error if there is one."""

from typing import TYPE_CHECKING

from w2sg import runtime, tables
from w2sg.theory import schemas

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(*, acceptance: str, output: str, log: str) -> None:
    with runtime.log_to(log):
        table = tables.read_table(acceptance, schemas.ACCEPTANCE)
        failed = table[~table["holds"]]
        if len(failed):
            lines = [
                f"{row.section} {row.experiment}: {row.criterion}: expected {row.expected}, measured {row.measured:.4g}"
                for row in failed.itertuples()
            ]
            raise ValueError(f"{len(failed)} of {len(table)} acceptance criteria fail\n  " + "\n  ".join(lines))
        with runtime.atomic_path(output) as path:
            path.write_text(f"all {len(table)} acceptance criteria hold\n", encoding="utf-8")


if __name__ == "__main__":
    main(acceptance=snakemake.input["acceptance"], output=snakemake.output[0], log=snakemake.log[0])
