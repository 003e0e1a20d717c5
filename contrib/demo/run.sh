#!/bin/sh
# Shows Tidegate at its work: a Debian host with OSTree, systemd and logind boots in a container on this machine, learns of
# a newer release, stages it, reboots into it and tells the story. Installs what it needs from Debian and PyPI.
#
#   sh contrib/demo/run.sh [bookworm|trixie|scratch]
#
# Needs Debian 12 or newer and root. What is built is kept in $TIDEGATE_LAB_CACHE (default /var/cache/tidegate-lab).
# "scratch" plays the story without a host, on an OSTree sysroot in a folder; so does an ordinary user.
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
