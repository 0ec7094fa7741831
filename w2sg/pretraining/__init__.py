"""The small models that are trained here: tokenizer, tokens, training loop, saved state.

Imports study and runtime. Never reads a corpus itself: the text arrives as documents.
"""
