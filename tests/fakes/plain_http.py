"""Plain HTTP with httpx, which reads 140 authorities for every client and every request by itself: a tenth of a second
each time (0.28)."""

from __future__ import annotations

import ssl
from typing import Final

NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody; for ``verify=`` where nothing is verified."""
