"""Publish releases from an OSTree repository: signatures, deltas, summary, and the update graph last.

Pure: ``document`` (a graph as a file), ``plan`` (changes of a graph), ``steps`` (the steps that a repository needs),
``render`` (a graph as text and JSON). With I/O: ``repository`` (reads), ``apply`` (writes), ``staged_summary`` (makes a
summary in a temporary repository), ``gpg``, ``ostree`` (the command), ``publisher`` (all of it in order).
"""
