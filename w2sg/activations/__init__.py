"""From a model folder and pairs to features: loading, packing, attention, forward pass, check against the library.

Imports revisions.folders, data, measures, study, runtime and tables. Never asks how the folder came there.
"""
