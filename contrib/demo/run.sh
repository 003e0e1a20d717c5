#!/bin/sh
# Demonstrates an update: a Debian host with OSTree, systemd and logind boots in a container on this machine, finds a newer
# release, stages it and reboots into it. Installs the required packages from Debian and PyPI.
#
#   sh contrib/demo/run.sh [bookworm|trixie|scratch]
#
# Needs Debian 12 or newer and root. Images are cached in $TIDEGATE_LAB_CACHE (default /var/cache/tidegate-lab).
# With "scratch", or without root, it runs without a container, on an OSTree sysroot in a folder.
set -eu
checkout=$(cd "$(dirname "$0")/../.." && pwd)
. "$checkout/contrib/setup.sh"

need_packages python3 python3-venv ostree e2fsprogs ca-certificates
if [ "$(id -u)" -eq 0 ] && [ "${1-}" != scratch ]; then
	need_packages mmdebstrap systemd-container util-linux gpg
fi
python=$(environment "$checkout" demo "$checkout")
cd "$checkout"
exec "$python" contrib/demo/demo.py "$@"
