#!/bin/sh
# Installs what the tests need and runs all of them: formatting, linters, types, import contracts; then unit, integration,
# fault and end-to-end tests. Needs Debian 12 or newer; what needs root says so where it is not given.
#
#   sh tests/run.sh [PYTEST ARGUMENTS]     with arguments, only pytest runs, with them
set -eu
checkout=$(cd "$(dirname "$0")/.." && pwd)
. "$checkout/contrib/setup.sh"

need_packages python3 python3-venv python3-gi gir1.2-ostree-1.0 ostree mmdebstrap systemd-container dbus-daemon polkitd \
	openssl gpg gpg-agent util-linux iproute2 e2fsprogs procps ca-certificates git
python=$(environment "$checkout" test "$checkout[test]")
bin=$(dirname "$python")
cd "$checkout"
[ $# -eq 0 ] || exec "$python" -m pytest "$@"

say() { echo "== $*"; }
say formatting and linters
"$bin/ruff" format --check --quiet .
"$bin/ruff" check --quiet .
say types: mypy
"$bin/mypy"
say types: pyright
"$bin/pyright" --pythonpath "$python"
say import contracts
"$bin/lint-imports" --no-cache
say tests
exec "$python" -m pytest
