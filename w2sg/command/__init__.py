"""One command around the workflow, and what it shows: a study's beginning, its checks, its progress and its end.

Imports every other room. Computes no result itself, and never changes a file that a job of a study writes.
"""
