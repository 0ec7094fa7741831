"""From features to rows of metrics: probe, ceiling, supervisor, student and their solvers.

Imports activations.features, measures, study and runtime. Never opens a file itself.
"""
