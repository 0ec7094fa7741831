"""What is asked: the configuration, its defaults and checks, which families, revisions and datasets it names, which recipe numbers hold.

Imports no other room. Never computes on data or opens a network connection; it reads files below config/ and
resources/ and writes none.
"""
