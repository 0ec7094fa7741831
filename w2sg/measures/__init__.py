"""Numbers with an interval and n: accuracies, ranks, bootstrap, floors of chance.

Imports study and runtime. Never opens a file or loads torch; arrays go in, estimates come out.
"""
