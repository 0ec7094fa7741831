"""Pages as one file each: what all of them share, the head of a study's page, the comparison of studies.

Imports what the report may import. Never computes a number.
"""
