"""Schemas of all tables with the meaning of every column, and the only code that reads or writes a table.

Imports runtime. Never computes what stands in a table.
"""
