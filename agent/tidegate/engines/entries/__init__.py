"""The engines of this package: one module each, with its :class:`tidegate.engines.entry.EngineEntry`."""
