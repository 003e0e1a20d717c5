"""Maintenance windows: weekly minutes, time zones and excluded dates. Pure: the present time is always an argument.

:mod:`.spec` and :mod:`.exclusions` parse the configuration, :mod:`.weekly` computes with wall-clock dates and minutes,
:mod:`.zones` converts between wall clocks and UTC, and :mod:`.schedule` combines them.
"""
