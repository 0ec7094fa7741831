"""Where text comes from: packages, files and folders of the user's own, and the Hub.

Imports only the kinds of values of the room around it. Never opens a file: it names them.
"""
