"""Find what the modules of a package declare, so that a new module is known without being listed anywhere."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

T = TypeVar("T")


def declared(package: str, attribute: str, kind: type[T], skip: Collection[str] = ()) -> tuple[T, ...]:
    """The value of ``attribute`` in each module of ``package`` that has one of the type ``kind``, by module name.

    Imports every module of the package but those in ``skip``.

    Raises:
        ImportError: a module cannot be imported.
    """
    names = sorted({found.name for found in iter_modules(import_module(package).__path__)} - set(skip))
    values = (getattr(import_module(f"{package}.{name}"), attribute, None) for name in names)
    return tuple(value for value in values if isinstance(value, kind))
