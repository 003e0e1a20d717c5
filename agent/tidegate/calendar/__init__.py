"""When windows are open: weekly minutes, zones, exclusions. Nothing here knows the present.

:mod:`.spec` and :mod:`.exclusions` read what an operator writes, :mod:`.weekly` knows dates and minutes of the wall
clock, :mod:`.zones` knows clocks, and :mod:`.schedule` answers all questions.
"""
