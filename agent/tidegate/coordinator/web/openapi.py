"""The OpenAPI document of the coordinator's HTTP interface, kept as ``openapi.json`` beside this module."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from tidegate import __version__

FILE = "openapi.json"


def document() -> Mapping[str, Any]:
    """The document, with this package's version in ``info``. It is read from the package at each call."""
    text = files("tidegate.coordinator.web").joinpath(FILE).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return {**loaded, "info": {**loaded["info"], "version": __version__}}
