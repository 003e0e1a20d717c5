"""``python -m tests.cluster``: three coordinators on three etcd members, with faults under load; then every version of
the record is read again and judged. Needs root, for namespaces, and ``etcd``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.cluster.faulty_server import Defect
from tests.cluster.network import ISOLATED
from tests.cluster.run import Wanted, run

INSIDE = "TIDEGATE_CLUSTER_INSIDE"
CHECKOUT = Path(__file__).resolve().parents[2]


def main() -> int:
    """0: nothing is wrong. 1: something is, and was printed. 2: it could not be tried."""
    wanted, account_file, keep = _arguments()
    if os.geteuid() != 0:
        print("this needs root, for namespaces", file=sys.stderr)
        return 2
    if INSIDE not in os.environ:
        _go_inside()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a namespace's first process has no default of its own
    with tempfile.TemporaryDirectory(prefix="tidegate-cluster-") as folder:
        account = asyncio.run(run(wanted, Path(folder)))
        if keep is not None:
            _keep_logs(Path(folder), keep)
    print(account.page())
    if account_file is not None:
        account_file.write_text(json.dumps(account.document(), indent=1))
    return 0 if account.is_clean else 1


def _keep_logs(folder: Path, keep: Path) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*.log"):
        shutil.copy(log, keep)


def _arguments() -> tuple[Wanted, Path | None, Path | None]:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--cycles", type=int, default=100_000, help="stop after so many locks and unlocks")
    parser.add_argument("--secs", type=float, default=3600.0, help="... or after so many seconds")
    parser.add_argument("--seed", type=int, default=1, help="of the faults and of the hosts' patience")
    parser.add_argument("--peace", action="store_true", help="no faults")
    parser.add_argument("--planted", type=Defect, choices=[*Defect], help="a server that is known to be wrong")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the account there, too")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the logs of all nodes there")
    given = parser.parse_args()
    return Wanted(given.cycles, given.secs, given.seed, not given.peace, given.planted), given.json, given.logs


def _go_inside() -> None:
    """Start over in namespaces of our own."""
    environment = {**os.environ, INSIDE: "1", "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "agent"), str(CHECKOUT)])}
    command = [*ISOLATED, sys.executable, "-m", "tests.cluster", *sys.argv[1:]]
    os.execvpe(command[0], command, environment)


if __name__ == "__main__":
    sys.exit(main())
