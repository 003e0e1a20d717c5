"""Load the coordinator's configuration at start and at each reload."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from tidegate.config.loader import load_as
from tidegate.coordinator.addresses import Address, parse_address
from tidegate.coordinator.model import Rules
from tidegate.coordinator.settings import DEFAULT_ROOTS, SCHEMA, Coordinator, CoordinatorSettings, conflicts
from tidegate.errors import ErrorKind, TidegateError

RELOADED = frozenset({"default_group", "tls", "admin"})
"""Keys below ``[coordinator]`` that a reload applies. All others, and listen addresses, need a restart."""

_log = logging.getLogger(__name__)

_CHECK = "tidegate coordinator check"


@dataclass(frozen=True, slots=True)
class Overrides:
    """Options of the command line that replace keys of the snippets. ``store`` may be a relative path."""

    store: str | None = None
    listen: str | None = None


class Configuration:
    """The settings in force, read from the configuration folders. A bad reload keeps the last good settings."""

    def __init__(self, roots: Sequence[Path], overrides: Overrides) -> None:
        self._roots = tuple(roots) or DEFAULT_ROOTS
        self._overrides = overrides
        self.settings = self._read()

    def reload(self) -> bool:
        """Read the folders again; False where the configuration is bad, which is logged and changes nothing."""
        before = self.settings
        try:
            self.settings = self._read()
        except TidegateError as error:
            _log.error("not reloaded, the last good configuration stays in force: %s", error)
            return False
        pending = _needs_restart(before.coordinator, self.settings.coordinator)
        if pending:
            _log.warning("these keys take effect after a restart: %s", ", ".join(pending))
        return True

    def _read(self) -> CoordinatorSettings:
        loaded = load_as(SCHEMA, self._roots)
        if loaded.settings is None:
            raise _bad([str(problem) for problem in loaded.problems])
        settings = _overridden(loaded.settings, self._overrides)
        wrong = [f"{conflict.key}: {conflict.message} ({conflict.remedy})" for conflict in conflicts(settings)]
        if wrong:  # caused by an option of the command line: the snippets alone passed the same check in load_as()
            raise _bad(wrong)
        return settings


def rules_of(settings: CoordinatorSettings) -> Mapping[str, Rules]:
    """The rules of each configured group, by its name."""
    return {group.name: group.rules for group in settings.groups}


def _overridden(settings: CoordinatorSettings, overrides: Overrides) -> CoordinatorSettings:
    own = settings.coordinator
    if overrides.listen is not None:
        own = replace(own, listen=_address(overrides.listen))
    if overrides.store is not None:
        own = replace(own, store=overrides.store)
    return replace(settings, coordinator=own)


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as error:
        message = f"--listen {text}: {error}"
        raise TidegateError(ErrorKind.CONFIG_INVALID, message, "use an address and a port: 127.0.0.1:3333") from None


def _needs_restart(before: Coordinator, now: Coordinator) -> list[str]:
    keys = [
        f"coordinator.{one.name}"
        for one in fields(Coordinator)
        if one.name not in RELOADED and getattr(before, one.name) != getattr(now, one.name)
    ]
    addresses = ((before.admin.listen, now.admin.listen), (before.admin.socket, now.admin.socket))
    admin = ["coordinator.admin"] if any(old != new for old, new in addresses) else []
    tls = ["coordinator.tls"] if _tls_modes(before) != _tls_modes(now) else []
    return keys + admin + tls


def _tls_modes(own: Coordinator) -> tuple[bool, bool]:
    """Whether TLS is on, and whether client certificates are verified: both are fixed when a listener opens."""
    return own.tls.certificate is not None, own.tls.client_ca is not None


def _bad(problems: Sequence[str]) -> TidegateError:
    first, *rest = problems
    more = f" (and {len(rest)} more)" if rest else ""
    return TidegateError(ErrorKind.CONFIG_INVALID, f"the configuration is bad: {first}{more}", _CHECK)
