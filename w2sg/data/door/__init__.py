"""The user's own files at the door: what is wrong with them is known before anything is computed.

Imports data, study and runtime. Never loads torch or a model, and makes no dataset.
"""
