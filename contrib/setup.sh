# What the commands of the README have in common; sourced, not run.

# need_packages NAME...: installs Debian packages that are missing. Fails where it cannot, and says what to do.
need_packages() {
	command -v dpkg-query >/dev/null || {
		echo "this needs Debian 12 or newer, or what derives from it; to be installed by hand: $*" >&2
		return 1
	}
	missing=
	for package; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "not installed, and only root can: apt-get install$missing" >&2
		return 1
	fi
	echo "installing:$missing" >&2
	said=$(mktemp)
	# The lists of a fresh machine are empty or old: they are fetched when the first attempt fails.
	install_packages $missing >"$said" 2>&1 ||
		{ apt-get update -qq && install_packages $missing; } >"$said" 2>&1 || {
		tail -n 20 "$said" >&2
		rm -f "$said"
		return 1
	}
	rm -f "$said"
}

install_packages() {
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
}

# environment CHECKOUT NAME REQUIREMENT: the Python of a virtual environment that has REQUIREMENT, made anew when
# pyproject.toml or Python has changed. It lies outside the checkout, which may be read-only or shared.
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
		flock 9 # another run may be at it
		[ "$(cat "$place/ready" 2>/dev/null)" = "$stamp" ] || make_environment "$place" "$3"
		echo "$stamp" >"$place/ready"
	) 9>"$place.lock" || return
	echo "$place/bin/python"
}

make_environment() {
	echo "making a virtual environment in $1" >&2
	rm -rf "$1"
	python3 -m venv "$1" &&
		"$1/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$2" >&2 ||
		exit
}
