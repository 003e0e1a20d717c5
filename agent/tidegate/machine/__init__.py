"""Every decision, free of I/O: ``step(state, event, now) -> (state, effects)`` in :mod:`.step`."""
