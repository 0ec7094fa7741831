"""What a reader sees of the sweep: figure tables, plots, sentences, cells, the page.

Imports trajectories, plotting, measures, tables, study and runtime. Never computes a statistic.
"""
