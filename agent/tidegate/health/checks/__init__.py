"""Kinds of health checks that an operator configures: one module each, with its keys and its :class:`.CheckSpec`."""
