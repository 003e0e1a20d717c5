"""The engine for plain OSTree; :class:`.OstreeEngine` implements the protocol."""

from tidegate.engines.ostree.booted import BootedHost
from tidegate.engines.ostree.cli import OstreeCli
from tidegate.engines.ostree.engine import OstreeEngine
from tidegate.engines.ostree.limits import Limits
from tidegate.engines.ostree.scratch import ScratchSysroot

__all__ = ["BootedHost", "Limits", "OstreeCli", "OstreeEngine", "ScratchSysroot"]
