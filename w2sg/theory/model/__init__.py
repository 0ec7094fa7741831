"""The spiked model in formulae: laws, activations, expectations, constants, radii.

Imports no other part of theory. Never simulates.
"""
