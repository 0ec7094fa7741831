"""One experiment is one module, with its settings in the catalogue.

Imports model and engines. Never judges or draws.
"""
