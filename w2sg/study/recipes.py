"""Integers that invalidate results: bump one when the numbers a stage writes would change.

Rules pass them as ``params: recipe=...``, so Snakemake's ``params`` trigger reruns exactly the stages below
the bumped one. Editing code alone reruns nothing; ``snakemake --list-changes code`` shows what was left alone.
"""

from __future__ import annotations

CORPUS = 2
PAIRS = 3
TOKENIZER = 1
PRETRAINING = 2
FETCH = 1
ACTIVATIONS = 4
SUPERVISOR = 7
HEADS = 10
STUDENTS = 2
FLOORS = 2
AUDIT = 3
COLLECT = 3
CORRELATIONS = 14
SUMMARY = 20
FIGURES = 8
READINGS = 1
REPORT = 16
THEORY = 3
PLAN = 6
ROUNDS = 3
