"""Asking the agent on the bus, from the command line."""

from __future__ import annotations

from tidegate.bus.bus import Bus
from tidegate.bus.errors import ABSENT, ACCESS_DENIED, INTERNAL, LIMITS_EXCEEDED, CallFailed
from tidegate.bus.match import Endpoint
from tidegate.errors import ErrorKind, TidegateError

AGENT = Endpoint("org.tidegate.Agent1", "/org/tidegate/Agent1", "org.tidegate.Agent1")


async def ask_agent(member: str, timeout_secs: float, signature: str = "", *arguments: object) -> str:
    """Call a method that answers with a string.

    Raises:
        TidegateError: what the agent answered; ``agent.unreachable`` where none does; ``bus.lost`` where the bus went
            away over the question, as it does when the host goes down.
    """
    bus = await Bus.connect()
    try:
        values = await bus.call(AGENT, member, signature, *arguments, returns="s", timeout_secs=timeout_secs)
    except TidegateError as err:
        raise _explained(err) from err
    finally:
        await bus.close()
    return str(values[0])


def _explained(error: TidegateError) -> TidegateError:
    if error.kind is ErrorKind.BUS_UNREACHABLE:
        return TidegateError(ErrorKind.BUS_LOST, "the bus went away before the agent answered", "tidegate status")
    if not isinstance(error, CallFailed):
        return error
    if error.error_name in ABSENT:
        return TidegateError(ErrorKind.AGENT_UNREACHABLE, "the agent does not run", "systemctl start tidegate.service")
    if error.error_name == INTERNAL:
        return TidegateError(ErrorKind.AGENT_INTERNAL, error.text, "journalctl -u tidegate.service says more")
    if error.error_name == LIMITS_EXCEEDED:
        return TidegateError(ErrorKind.AGENT_BUSY, error.text, "try again in a moment")
    if error.error_name == ACCESS_DENIED:
        return TidegateError(ErrorKind.AGENT_NOT_AUTHORISED, error.message, "run it as root")
    return error
