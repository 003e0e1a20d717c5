"""Remove the cache of built hosts: ``python3 -m tests.e2e.lab.clean``, with nothing installed but Python."""

from __future__ import annotations

import sys

from tests.e2e.lab.cache import Cache
from tests.e2e.lab.process import LabError


def main() -> int:
    """Remove it, unless it is in use; returns the exit code."""
    try:
        Cache.default(lambda message: print(message, file=sys.stderr)).remove()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
