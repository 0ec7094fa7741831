"""What configuration and tokenizer of revisions say before their weights are there, and which revisions differ from the others.

Imports study and runtime, and nothing outside the standard library but what those need. Never opens a connection or reads weights.
"""
