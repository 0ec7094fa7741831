"""How a process behaves: logs, atomic files, hashes, locks, threads, devices, clusters, versions.

Imports no other room. Never knows a model, a pair or a step.
"""
