"""The phases of the agent, one file each, with all the rules of that phase: see :mod:`tidegate.machine.phase`.

Phases lead to each other, in circles, as the states of any machine do.
"""
