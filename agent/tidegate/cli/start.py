"""Entry point of the console script. It starts the resident agent without importing what only commands need."""

from __future__ import annotations

import sys

AGENT_ARGUMENTS = ("agent",)
"""The arguments in tidegate.service. With options, click parses them, and the agent uses more memory."""


def main() -> None:
    """Run the agent or a command.

    click and its imports would take 1.2 MiB of the 25 that the agent may use, to parse one word.
    """
    if tuple(sys.argv[1:]) == AGENT_ARGUMENTS:
        from tidegate.cli import agent_process  # noqa: PLC0415 - one process is either the agent or a command

        agent_process.run()
    else:
        from tidegate.cli import entry  # noqa: PLC0415

        entry.main()
