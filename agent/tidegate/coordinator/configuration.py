"""The coordinator's configuration, at its start and at each reload."""

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
"""What a reload may change below ``[coordinator]``; of the rest, and of addresses, a restart makes use."""

_log = logging.getLogger(__name__)

_CHECK = "tidegate coordinator check"


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says in place of snippets. A store may be a relative path there."""

    store: str | None = None
    listen: str | None = None


class Configuration:
    """Reads the folders. A bad configuration never takes the place of a good one."""

    def __init__(self, roots: Sequence[Path], overrides: Overrides) -> None:
        self._roots = tuple(roots) or DEFAULT_ROOTS
        self._overrides = overrides
        self.settings = self._read()

    def reload(self) -> bool:
        """Whether there are new settings; where not, the log says what is wrong and the last good ones hold."""
        before = self.settings
        try:
            self.settings = self._read()
        except TidegateError as error:
            _log.error("not reloaded, the last good configuration stays in force: %s", error)
            return False
        late = _needs_restart(before.coordinator, self.settings.coordinator)
        if late:
            _log.warning("these take effect at the next start only: %s", ", ".join(late))
        return True

    def _read(self) -> CoordinatorSettings:
        loaded = load_as(SCHEMA, self._roots)
        if loaded.settings is None:
            raise _bad([str(problem) for problem in loaded.problems])
        settings = _overridden(loaded.settings, self._overrides)
        wrong = [f"{conflict.key}: {conflict.message} ({conflict.remedy})" for conflict in conflicts(settings)]
        if wrong:  # only what the command line changed can be: the snippets alone were held against each other
            raise _bad(wrong)
        return settings


def rules_of(settings: CoordinatorSettings) -> Mapping[str, Rules]:
    """The rules by the name of their group."""
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
    late = [
        f"coordinator.{one.name}"
        for one in fields(Coordinator)
        if one.name not in RELOADED and getattr(before, one.name) != getattr(now, one.name)
    ]
    places = ((before.admin.listen, now.admin.listen), (before.admin.socket, now.admin.socket))
    moved = ["coordinator.admin"] if any(old != new for old, new in places) else []
    turned = ["coordinator.tls"] if _tls_shape(before) != _tls_shape(now) else []
    return late + moved + turned


def _tls_shape(own: Coordinator) -> tuple[bool, bool]:
    return own.tls.certificate is None, own.tls.client_ca is None


def _bad(wrong: Sequence[str]) -> TidegateError:
    first, *rest = wrong
    more = f" (and {len(rest)} more)" if rest else ""
    return TidegateError(ErrorKind.CONFIG_INVALID, f"the configuration is bad: {first}{more}", _CHECK)
