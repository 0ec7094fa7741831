"""Style, colours, labels, a line with its band, a saved figure.

Imports runtime. Never knows a table or the configuration.
"""
