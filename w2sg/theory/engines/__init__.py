"""Simulation of the model: direct in d dimensions, reduced to its state, and the limit flow.

Imports the model. Never knows an experiment.
"""
