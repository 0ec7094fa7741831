"""A published checkpoint from its name to verified files and away again: listing, audit, download, leases, deletion.

Imports study, runtime and tables. Never loads weights; no other room connects to the Hub or deletes a downloaded
folder.
"""
