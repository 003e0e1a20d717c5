#!/bin/sh
# Installs what the tests need and runs all of them: formatting, linters, types, import contracts; then unit, integration,
# fault and end-to-end tests. Needs Debian 12 or newer; what needs root says so where it is not given.
#
#   sh tests/run.sh [PYTEST ARGUMENTS]     with arguments, only pytest runs, with them
#
# The exit status is 0 only when nothing failed.
set -eu
checkout=$(cd "$(dirname "$0")/.." && pwd)
. "$checkout/contrib/setup.sh"

need_packages python3 python3-venv ca-certificates
need_packages python3-gi gir1.2-ostree-1.0 ostree mmdebstrap systemd-container dbus-daemon polkitd \
	openssl gpg gpg-agent util-linux e2fsprogs etcd-server iproute2 prometheus \
	debhelper dpkg-dev lintian man-db groff-base mandoc fish zsh || echo "going on without; tests that need them say so" >&2
python=$(environment "$checkout" test "$checkout[test]")
bin=$(dirname "$python")
cd "$checkout"

# The checkout may be read-only or somebody else's.
caches=${bin%/bin}/caches
export RUFF_CACHE_DIR="$caches/ruff" MYPY_CACHE_DIR="$caches/mypy" HYPOTHESIS_STORAGE_DIRECTORY="$caches/hypothesis"
# What Python compiles, too: tests start it hundreds of times.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX="$caches/python"
export PYTEST_ADDOPTS="-o 'cache_dir=$caches/pytest' ${PYTEST_ADDOPTS-}"

[ $# -eq 0 ] || exec "$python" -m pytest "$@"

# check TITLE COMMAND...: a failure is kept in mind and does not keep the rest from running.
failed=
check() {
	echo "== $1"
	title=$1
	shift
	"$@" || failed="$failed, $title"
}
check formatting "$bin/ruff" format --check --quiet .
check linters "$bin/ruff" check --quiet .
check "types: mypy" "$bin/mypy"
check "types: pyright" "$bin/pyright" --pythonpath "$python"
check "import contracts" "$bin/lint-imports" --no-cache --no-logo
[ -z "$failed" ] || echo "== FAILED: ${failed#, } (told again by the exit status)"
echo "== tests"
# One more than there are processors, a file never split: whole hosts spend half of their time waiting for boots. In the
# order of the folders: the long stories of hosts come early, and many small files fill up the end.
set -- --numprocesses="$(($(nproc) + 1))" --dist=loadfile --no-loadscope-reorder
[ -n "$failed" ] || exec "$python" -m pytest "$@"
"$python" -m pytest "$@" || exit
exit 1
