"""Where the console script begins. The agent, which runs as long as its host, is started without what commands need."""

from __future__ import annotations

import sys

AGENT_ARGUMENTS = ("agent",)
"""How its unit starts the agent. With options it is a command like any other, and the same but for its memory."""


def main() -> None:
    """Run what was asked for.

    click and what comes with it are 1.2 of the 25 MiB that the resident agent may have, for one word to be understood.
    """
    if tuple(sys.argv[1:]) == AGENT_ARGUMENTS:
        from tidegate.cli import agent_process  # noqa: PLC0415 - either this or all the others

        agent_process.run()
    else:
        from tidegate.cli import entry  # noqa: PLC0415

        entry.main()
