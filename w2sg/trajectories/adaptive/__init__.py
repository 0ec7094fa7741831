"""Rounds of an adaptive sweep: what is known of each onset, and which revisions are to be measured next.

Imports study, tables and trajectories. Never asks where a table lies or when a round ran.
"""
