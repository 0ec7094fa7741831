"""From a source to checked preference pairs with row ids and splits: one parser, one task, one source each.

Imports study, runtime and tables. Never loads torch or a model.
"""
