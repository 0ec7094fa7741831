"""One study as one archive, with a card for those who find it.

Imports report, trajectories, tables, study and runtime. Reads the files of a finished study and computes nothing. Writes the archive alone.
"""
