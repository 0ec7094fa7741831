"""Metrics over pre-training and what is concluded from them: headline rows, coverage, onset, transitions, correlations, summary.

Imports study, tables and measures. Never draws, words a sentence or loads torch.
"""
