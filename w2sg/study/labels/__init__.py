"""Whose labels students learn: supervisors that are no single model taught by true labels, and how weak labels are cleaned.

Imports the room's fields, protocols and lists. Reads revision lists and nothing else.
"""
