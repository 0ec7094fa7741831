"""Makers of a supervisor's labels: heads of a model, taught by true labels or by another supervisor; several supervisors; a file.

Imports what its room imports, and of its room fits, controls and cleaning. Touches no file: labels come and go as tables in memory.
"""
