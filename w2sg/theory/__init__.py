"""Spiked-Gaussian theory of weak-to-strong generalization: closed forms, constants, exact engines, experiments.

Letters follow ``docs/theory.md``. Nothing here needs torch or a checkpoint, and importing this package alone
imports nothing else: ``experiments`` (plain data) is read while the rule graph is built.
"""
