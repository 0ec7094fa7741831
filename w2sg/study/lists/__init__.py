"""What a model's revisions are: lists and folders of them, where each lies, and which of them a study takes.

Imports `study.fields` and `study.pretraining` only. Never opens a network connection, and reads nothing of a revision
but what its trainer noted beside it.
"""
