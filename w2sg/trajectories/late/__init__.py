"""What one run reaches at its late revisions: levels, gain, PGR and controls.

Imports measures, study, tables and trajectories. Never compares runs.
"""
