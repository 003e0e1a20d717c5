"""URLs: passwords are masked, and invalid ones are rejected with the reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import ErrorKind, TidegateError
from tidegate.net.urls import checked, file_path, masked, without_last_segment


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/a/b?c=d", "https://host/a/b?c=d"),
        ("https://user:secret@host/", "https://***@host/"),
        ("https://user@host/", "https://***@host/"),
        ("https://u:se@cret@host:8443/p@th", "https://***@host:8443/p@th"),
        ("https://u:sec/ret@host/", "https://***@host/"),
        ("https://u:sec?ret@host/", "https://***@host/"),
        ("http://[::1/a:b@c", "http://***@c"),
        ("file:///a@b", "file:///a@b"),
        ("not an address", "not an address"),
    ],
)
def test_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


@given(st.text(min_size=1).map(lambda text: f"Q{text}Z"), st.sampled_from(["http", "https"]))
def test_no_password_shows(password: str, scheme: str) -> None:
    assert password not in masked(f"{scheme}://user:{password}@example.org/graph")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://host/", "its scheme is 'ftp'"),
        ("/var/graph.json", "it has no scheme"),
        ("https:///graph", "it has no host"),
        ("http://host:http/", "its host or port is invalid"),
        ("http://[::1/", "its host or port is invalid"),
        ("file://var/graph.json", "this one names the host 'var'"),
        ("file:graph.json", "it has no absolute path"),
        ("file:///a%00b", "it has no absolute path"),
    ],
)
def test_what_cannot_be_asked(url: str, why: str) -> None:
    with pytest.raises(TidegateError) as caught:
        checked(url)
    assert caught.value.kind is ErrorKind.CONFIG_INVALID
    assert why in caught.value.message
    assert caught.value.remedy


def test_a_password_in_the_ports_place_is_not_quoted() -> None:
    with pytest.raises(TidegateError) as caught:
        checked("http://user:sec/ret@host/")
    assert "sec" not in str(caught.value)


@pytest.mark.parametrize("url", ["file:///srv/a%20b.json", "file://localhost/srv/a%20b.json"])
def test_file_path(url: str) -> None:
    assert file_path(checked(url)) == "/srv/a b.json"


@pytest.mark.parametrize(
    ("url", "shorter"),
    [
        ("http://h", None),
        ("http://h/", None),
        ("http://h/a/", None),
        ("http://h/a", "http://h/"),
        ("http://u:p@h:8080/a/b", "http://u:p@h:8080/a/"),
        ("http://b/b", "http://b/"),
        ("http://[::1", None),
    ],
)
def test_the_base_that_zincati_makes_of_an_address(url: str, shorter: str | None) -> None:
    assert without_last_segment(url) == shorter
