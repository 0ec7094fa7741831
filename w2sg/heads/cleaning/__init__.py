"""What is done about weak labels that the student's own features contradict, before it learns them: one module for each estimate of a label.

Imports activations, study and, of its own room, solver and presentation. Touches no file; labels come as arrays or as a table in memory.
"""
