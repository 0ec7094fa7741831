"""Subcommands of ``w2sg`` that have more to say than their call.

Imports what the room of the command may import. Each function is registered in ``w2sg.command.app``. Computes no result.
"""
