"""How a student learns labels that are partly wrong: one module for each method, and the catalogue of them.

Imports nothing of the package. Knows logits and labels, neither models nor tables.
"""
