"""Interactive charts of the report: what they draw as rows, and Vega-Lite specifications without data.

Imports what the report may import. Never knows a page or a file.
"""
