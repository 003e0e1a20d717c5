"""For those who build releases: from an OSTree repository to what hosts read, the update graph last.

Pure: ``document`` (a graph as a file), ``plan`` (changes of it), ``steps`` (what a repository lacks). With I/O:
``repository`` (looks), ``writer`` (does), ``shadow`` (a summary made aside), ``gpg``, ``publisher`` (all in turn).
"""
