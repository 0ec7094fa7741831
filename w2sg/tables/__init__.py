"""Schemas of all tables with the meaning of every column, the only code that reads or writes a table, and the origin of files.

Imports study and runtime. Never computes what stands in a table.
"""
