"""Weak-to-strong generalization across pre-training: the package behind the workflow.

Three layers, each ignorant of the next: the rules say what depends on what, the scripts read files and
write files, and this package computes on arrays and tables.
"""

__version__ = "0.1.0"
