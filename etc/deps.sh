#!/bin/sh
# Install the Debian packages named as arguments that are missing; nothing else.
# $SUDO is what runs apt-get as root: empty when this is root already.
set -eu

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "deps: not a Debian system: please see that you have: $*" >&2
	exit 0
fi

missing=
for p in "$@"; do
	status=$(dpkg-query -W -f '${Status}' "$p" 2>/dev/null || true)
	case $status in
	*"ok installed") ;;
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ -n "${SUDO:-}" ] && ! command -v "$SUDO" >/dev/null 2>&1; then
	echo "deps: these packages are missing, and there is no $SUDO here:" >&2
	echo "deps:  $missing" >&2
	echo "deps: as root: apt-get install$missing" >&2
	exit 1
fi

echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
${SUDO:-} apt-get -qq update
# shellcheck disable=SC2086
${SUDO:-} apt-get -qq -y --no-install-recommends install $missing >/dev/null
