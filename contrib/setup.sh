# Functions for the scripts that the README names; to be sourced.

# need_packages NAME...: installs missing Debian packages; if it cannot, prints a remedy and fails.
need_packages() {
	command -v dpkg-query >/dev/null || {
		echo "this needs Debian 12 or newer, or a derivative; install by hand: $*" >&2
		return 1
	}
	missing=
	for package; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "packages are missing; as root, run: apt-get install$missing" >&2
		return 1
	fi
	echo "installing:$missing" >&2
	# On a fresh machine, package lists are missing or outdated: update them if the first attempt fails.
	told=$(install_packages $missing 2>&1) || { apt-get update -qq && told=$(install_packages $missing 2>&1); } || {
		echo "$told" >&2
		return 1
	}
	echo "$told" >&2
}

# install_packages NAME...: installs packages, whose services are neither started nor enabled: they are here for their
# programs, on a machine that has another purpose.
install_packages() (
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"; allow_services' EXIT
	trap 'exit 1' HUP INT TERM
	installed_packages >"$scratch/before"
	forbid_services
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 "$@" \
		>"$scratch/log" 2>&1 || {
		tail -n 20 "$scratch/log" >&2
		failed=1
	}
	installed_packages | LC_ALL=C comm -13 "$scratch/before" - >"$scratch/new"
	disable_services <"$scratch/new"
	remember_packages <"$scratch/new"
	exit "${failed-0}"
)

installed_packages() {
	dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p' | LC_ALL=C sort -u
}

# invoke-rc.d(8) and deb-systemd-invoke(1p) ask this program whether they may start a service.
services_policy=/usr/sbin/policy-rc.d
services_mark="Tidegate's contrib/setup.sh is installing packages"

# forbid_services: services are not started until allow_services; those that run are still restarted by upgrades.
forbid_services() {
	[ ! -e "$services_policy" ] || return 0 # this machine has a policy of its own
	cat >"$services_policy" <<-POLICY
		#!/bin/sh
		# $services_mark; without it, this file may be deleted.
		case " \$* " in *" start "*) exit 101 ;; esac
	POLICY
	chmod 755 "$services_policy"
}

allow_services() {
	! grep -qs "$services_mark" "$services_policy" || rm -f "$services_policy"
}

# disable_services <PACKAGES: disables the units of packages. Those of systemd itself belong to any machine that has it.
disable_services() {
	grep -v '^systemd' | while read -r package; do
		dpkg-query -L "$package" | sed -n 's#^\(/usr\)\{0,1\}/lib/systemd/system/\([^/]*\.[a-z]*\)$#\2#p' |
			grep -E '\.(path|service|socket|timer)$' | while read -r unit; do
			# What maintainer scripts use: it works where systemd is not installed, and survives upgrades.
			DPKG_MAINTSCRIPT_PACKAGE=$package deb-systemd-helper disable "$unit" >/dev/null 2>&1 || true
		done
	done
}

# remember_packages <PACKAGES: tells their size, and keeps their names for clean_up.
remember_packages() {
	mkdir -p "$(environments)"
	tee -a "$(environments)/packages" | xargs -r dpkg-query -W -f '${Installed-Size}\n' |
		awk '{ kib += $1 } END { printf "installed %d package%s, %d MB; no service of theirs is started or enabled\n", NR, NR == 1 ? "" : "s", kib / 1024 }' >&2
}

# environments: prints the folder of the virtual environments.
environments() {
	echo "${TIDEGATE_VENV_DIR:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/tidegate}"
}

# environment CHECKOUT NAME REQUIREMENT: prints the Python of a virtual environment with REQUIREMENT, which is recreated
# when pyproject.toml or Python has changed. It is outside the checkout, which may be read-only or shared.
environment() {
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
		echo "Python 3.11 or newer is needed; this is $(python3 --version)" >&2
		return 1
	}
	folder=$(environments)
	place=$(environment_of "$1" "$2")
	stamp=$({ cat "$1/pyproject.toml" "$1/contrib/setup.sh"; python3 --version; } | sha256sum)
	mkdir -p "$folder"
	(
		flock 9 # against concurrent runs
		[ "$(cat "$place/ready" 2>/dev/null)" = "$stamp" ] || make_environment "$place" "$3"
		echo "$stamp" >"$place/ready"
	) 9>"$place.lock" || return
	echo "$place/bin/python"
}

environment_of() {
	echo "$(environments)/$2-$(echo "$1" | sha256sum | cut -c1-8)"
}

make_environment() {
	echo "creating a virtual environment in $1" >&2
	rm -rf "$1"
	python3 -m venv "$1" || exit
	"$1/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$2" >"$1/log" 2>&1 || {
		why=$(grep -o 'No matching distribution found.*' "$1/log" || grep '^ERROR' "$1/log" || true)
		echo "pip cannot install what is needed${why:+: $(echo "$why" | tail -n 1)}" >&2
		echo "  to do: make sure that the Python package index can be reached (pip config list); pip's words: $1/log" >&2
		exit 1
	}
}

# clean_up CHECKOUT: removes what the scripts have cached, and names the packages that they have installed.
clean_up() {
	(cd "$1" && python3 -m tests.e2e.lab.clean) || return
	for name in demo test; do
		place=$(environment_of "$1" "$name")
		[ ! -d "$place" ] || echo "removing $place ($(du -sh "$place" | cut -f1))" >&2
		rm -rf "$place" "$place.lock"
	done
	packages=$(environments)/packages
	[ -s "$packages" ] || return 0
	echo "installed for it were, and can be removed with apt-get purge:" >&2
	sort -u "$packages" | paste -sd ' ' | fold -s -w 118 >&2
}
