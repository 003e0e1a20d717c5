"""Texts and delays from error responses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.net.answers import EXCERPT_CHARS, MAX_RETRY_AFTER_SECS, error_text, excerpt, is_markup, retry_after_secs

DATE = "Sat, 21 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "secs"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "9" * 400}, MAX_RETRY_AFTER_SECS),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "\N{ARABIC-INDIC DIGIT THREE}"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 10:02:00 GMT", "date": DATE}, 120.0),
        ({"retry-after": "Sat, 21 Nov 2026 09:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Sun, 21 Nov 2027 10:00:00 GMT", "date": DATE}, MAX_RETRY_AFTER_SECS),
        ({"retry-after": "Sat, 21 Nov 2026 10:02:00 GMT"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 10:02:00 -0000", "date": DATE}, None),
        ({"retry-after": "Sat, 21 Nov 99999999999999 10:02:00 GMT", "date": DATE}, None),
        ({"retry-after": "Sat, 99 Nov 2026 10:02:00 GMT", "date": DATE}, None),
    ],
)
def test_retry_after(headers: dict[str, str], secs: float | None) -> None:
    assert retry_after_secs(headers) == secs


@given(st.text())
def test_retry_after_takes_anything(text: str) -> None:
    secs = retry_after_secs({"retry-after": text, "date": DATE})
    assert secs is None or 0 <= secs <= MAX_RETRY_AFTER_SECS


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            b'{"kind": "no_stream", "value": "stream \\u001b[31mnext is unknown"}',
            "no_stream: stream [31mnext is unknown",
        ),
        (b'{"kind": 1, "value": "x"}', '{"kind": 1, "value": "x"}'),
        (b"[" * 100_000, "[" * EXCERPT_CHARS + "..."),
        (b"  gone\r\n for\tgood ", "gone for good"),
        (b"", ""),
        (b"\xff\x00\x1b", "\ufffd"),
    ],
)
def test_error_text(body: bytes, text: str) -> None:
    assert error_text(body) == text


@given(st.binary())
def test_excerpts_are_short_and_printable(body: bytes) -> None:
    text = excerpt(body)
    assert text.isprintable()
    assert len(text) <= EXCERPT_CHARS + 3


@pytest.mark.parametrize("body", [b"<!DOCTYPE html>", b"\n <html>", b"\xef\xbb\xbf<?xml?>"])
def test_markup(body: bytes) -> None:
    assert is_markup(body)


@pytest.mark.parametrize("body", [b"", b"{}", b'["<html>"]'])
def test_no_markup(body: bytes) -> None:
    assert not is_markup(body)
