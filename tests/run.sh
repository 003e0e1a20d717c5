#!/bin/sh
# Install what the tests need and run all of them: formatting, linters, types, import contracts; then pytest. Needs
# Debian 12 or newer; tests that need root, or a package that is missing, are skipped with the reason.
#
#   sh tests/run.sh [PYTEST ARGUMENTS]     with arguments, only pytest runs, with them
#   sh tests/run.sh --clean                remove what is cached, and name the packages that were installed
#
# The services of packages that it installs (etcd, prometheus) are neither started nor enabled.
#
# The parts of the suite, in the order in which they run:
#
#   tests/cluster      coordinators over a cluster of etcd, under load and faults; also ``python -m tests.cluster``
#   tests/e2e          whole hosts in containers, from the agent's packages to the boot after an update
#   tests/faults       the agent on a simulated host, with a fault at every point; also ``python -m tests.faults``
#   tests/fuzz         broken configurations, requests and D-Bus calls: a fixed slice of what the fuzzers can do
#   tests/integration  one part with what it talks to: D-Bus daemons, processes, sockets, ostree, etcd, packages
#   tests/model        random histories of the state machine, and mutants of it that must be noticed; pure
#   tests/unit         the same folders as the package; starts no server and hardly a process, 15 s of CPU
#   tests/vm           a power cut on a virtual machine, read by a boot loader; also ``python -m tests.vm``
#
# tests/bench has programs to be run by hand; tests/fakes is what the others share.
#
# The exit status is 0 only when nothing failed.
set -eu
checkout=$(cd "$(dirname "$0")/.." && pwd)
. "$checkout/contrib/setup.sh"

if [ "${1-}" = --clean ]; then
	clean_up "$checkout"
	exit
fi
echo "caches: 0.5 GB in $(environments), up to 3 GB in ${TIDEGATE_LAB_CACHE:-/var/cache/tidegate-lab}" \
	"(sh tests/run.sh --clean removes them)" >&2
need_packages python3 python3-venv ca-certificates
need_packages python3-gi gir1.2-ostree-1.0 ostree mmdebstrap systemd-container dbus-daemon polkitd \
	openssl gpg gpg-agent util-linux e2fsprogs grub-common qemu-system-x86 etcd-server iproute2 prometheus \
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
[ -z "$failed" ] || echo "== FAILED: ${failed#, } (repeated by the exit status)"
echo "== tests"
# One more than there are processors, a file never split: whole hosts spend half of their time waiting for boots. In the
# order of the folders: the long tests of hosts come early, and many small files fill up the end. The slowest are listed.
set -- --numprocesses="$(($(nproc) + 1))" --dist=loadfile --no-loadscope-reorder --durations=20 --durations-min=1
[ -n "$failed" ] || exec "$python" -m pytest "$@"
"$python" -m pytest "$@" || exit
exit 1
