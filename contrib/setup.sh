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
	log=$(mktemp)
	# On a fresh machine, package lists are missing or outdated: update them if the first attempt fails.
	install_packages $missing >"$log" 2>&1 ||
		{ apt-get update -qq && install_packages $missing; } >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		rm -f "$log"
		return 1
	}
	rm -f "$log"
}

install_packages() {
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
}

# environment CHECKOUT NAME REQUIREMENT: prints the Python of a virtual environment with REQUIREMENT, which is recreated
# when pyproject.toml or Python has changed. It is outside the checkout, which may be read-only or shared.
environment() {
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
		echo "Python 3.11 or newer is needed; this is $(python3 --version)" >&2
		return 1
	}
	folder=${TIDEGATE_VENV_DIR:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/tidegate}
	place=$folder/$2-$(echo "$1" | sha256sum | cut -c1-8)
	stamp=$({ cat "$1/pyproject.toml" "$1/contrib/setup.sh"; python3 --version; } | sha256sum)
	mkdir -p "$folder"
	(
		flock 9 # against concurrent runs
		[ "$(cat "$place/ready" 2>/dev/null)" = "$stamp" ] || make_environment "$place" "$3"
		echo "$stamp" >"$place/ready"
	) 9>"$place.lock" || return
	echo "$place/bin/python"
}

make_environment() {
	echo "creating a virtual environment in $1" >&2
	rm -rf "$1"
	python3 -m venv "$1" &&
		"$1/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$2" >&2 ||
		exit
}
