"""Whether the simulations agree with the theory: criteria, verdicts, the acceptance table.

Imports experiments and what is below. Never draws.
"""
