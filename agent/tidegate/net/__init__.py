"""The agent's HTTP, in a child process for each request: :mod:`.worker` is that process, :mod:`.client` runs it.

A job (a network request of some package) is a module that offers ``work(fields, departed)``; :mod:`.wire` describes how
to add one. This package knows no protocol but HTTP.
"""
