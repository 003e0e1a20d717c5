"""Names of errors on the bus."""

from __future__ import annotations

from tidegate.bus.errors import CallFailed, error_from_reply, name_of
from tidegate.errors import ErrorKind, TidegateError


def test_every_kind_has_a_name_of_its_own() -> None:
    assert len({name_of(kind) for kind in ErrorKind}) == len(ErrorKind)
    assert name_of(ErrorKind.ENGINE_NO_SPACE) == "org.tidegate.Error.EngineNoSpace"


def test_every_kind_is_found_again() -> None:
    for kind in ErrorKind:
        error = error_from_reply(name_of(kind), ("what", "do"), "x")
        assert (error.kind, error.message, error.remedy) == (kind, "what", "do")


def test_the_body_may_be_anything() -> None:
    for body in ((), (1,), ("text",), ("text", 1, "more", "and more")):
        error = error_from_reply("org.example.Error", body, "org.example Do")
        assert isinstance(error, CallFailed)
        assert str(error).startswith("org.example Do: ")
        assert type(error_from_reply(name_of(ErrorKind.ENGINE_BUSY), body, "")) is TidegateError
