#!/bin/sh
# Lint: run.sh "SOURCES" "TESTS" "HEADERS" "MAN PAGES", with $CPPFLAGS for the
# compiler.
# A tool that is not there is announced as skipped.  Fails if any tool objects.
set -u
sources=$1 tests=$2 headers=$3 pages=$4
here=$(dirname "$0")
bad=

step() {
	name=$1 tool=$2
	shift 2
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "lint: $name: SKIPPED, there is no $tool"
		return
	fi
	if "$@"; then
		echo "lint: $name: ok"
	else
		echo "lint: $name: FAILED"
		bad="$bad $name"
	fi
}

analyze() {
	out=$(mktemp) status=0
	# shellcheck disable=SC2086
	printf '%s\n' $sources | xargs -P "$(nproc)" -n 4 clang --analyze \
		--analyzer-output text $CPPFLAGS \
		-include "$here/analyze.h" >"$out" 2>&1 || status=1
	if grep -qE 'warning:|error:' "$out"; then
		cat "$out"
		status=1
	fi
	rm -f "$out"
	return $status
}

run_cppcheck() {
	# shellcheck disable=SC2086
	cppcheck -j "$(nproc)" --quiet --std=c11 --error-exitcode=1 --inline-suppr -I. \
		--enable=warning,performance,portability \
		--include="$here/cppcheck.h" --suppress=unusedStructMember \
		-D_GNU_SOURCE -DGANGER_VERSION='""' -DSYSCONFDIR='""' \
		-DLOCALSTATEDIR='""' -DRUNDIR='""' -DLIBDIR='""' $sources $tests
}

man_pages() {
	# shellcheck disable=SC2086
	mandoc -Tlint -W warning $pages
}

# shellcheck disable=SC2086
step format clang-format clang-format --dry-run -Werror \
	$sources $tests $headers
step cppcheck cppcheck run_cppcheck
step analyze clang analyze
step man mandoc man_pages
step includes awk sh "$here/includes.sh" $sources $tests $headers
step sizes ctags sh "$here/sizes.sh" $sources $headers

if [ -n "$bad" ]; then
	echo "lint: FAILED:$bad" >&2
	exit 1
fi
