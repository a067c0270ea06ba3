#!/bin/sh
# Run unit test programs one after the other, to the end; fail if any failed.
set -u
failed=
for t in "$@"; do
	echo "== ${t##*/}"
	"$t" || failed="$failed ${t##*/}"
done
if [ -n "$failed" ]; then
	echo "units: FAILED:$failed" >&2
	exit 1
fi
echo "units: all $# programs passed"
