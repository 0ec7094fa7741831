"""What the figures of the synthetic branch show, and how.

Imports experiments and what is below. Never judges.
"""
