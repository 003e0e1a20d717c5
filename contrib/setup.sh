# What the commands of the README have in common; sourced, not run.

# need_packages NAME...: installs Debian packages that are missing. Without root it says what to install and goes on: what
# needs them says so itself.
need_packages() {
	missing=
	for package; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "not installed, and only root can: apt-get install$missing" >&2
		return 0
	fi
	echo "installing:$missing" >&2
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # a list of names
	apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 || {
		apt-get update -qq >&2
		apt-get install -y -qq --no-install-recommends $missing >&2
	}
}

# environment CHECKOUT NAME REQUIREMENT: the Python of a virtual environment that has REQUIREMENT, made anew when
# pyproject.toml has changed. It lies outside the checkout, which may be read-only or shared.
environment() {
	stamp=$(cat "$1/pyproject.toml" "$1/contrib/setup.sh" | sha256sum | cut -c1-16)
	place=${TIDEGATE_VENV_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/tidegate}/$2-$(echo "$1" | sha256sum | cut -c1-8)-$stamp
	if [ ! -e "$place/ready" ]; then
		echo "making a virtual environment" >&2
		rm -rf "$place"
		mkdir -p "$(dirname "$place")"
		python3 -m venv "$place"
		"$place/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$3" >&2
		touch "$place/ready"
	fi
	echo "$place/bin/python"
}
