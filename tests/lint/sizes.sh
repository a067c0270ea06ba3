#!/bin/sh
# Size budgets: a file has at most 800 lines, a function at most 60 (units and
# tabular functions marked "size: table" aside).
set -u
status=0
for f in "$@"; do
	n=$(wc -l <"$f")
	if [ "$n" -gt 800 ]; then
		echo "$f: $n lines, over 800"
		status=1
	fi
done
long=$(printf '%s\n' "$@" | grep '\.c$' |
	xargs ctags --languages=C --c-kinds=f --fields=+ne -f - 2>/dev/null |
	awk -F'\t' '{
		s = e = 0
		for (i = 4; i <= NF; i++) {
			if ($i ~ /^line:/) s = substr($i, 6)
			if ($i ~ /^end:/) e = substr($i, 5)
		}
		if (e - s >= 60) print $2 ":" s ": " $1 " has " e - s + 1 " lines, over 60"
	}')
if [ -n "$long" ]; then
	printf '%s\n' "$long"
	status=1
fi
exit $status
