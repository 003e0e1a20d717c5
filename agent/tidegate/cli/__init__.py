"""The command line: parse, call, print, exit. One file for each command group."""
