#!/bin/sh
# Show Ganger at its main job: start a daemon in a temporary folder, hash real
# files and sort real arrays on it, kill a worker meanwhile, stop it.  Needs
# gangerd and ganger in $BUILD, and no rights.
set -eu

build=${BUILD:-build}
PATH=$(cd "$build" && pwd):$PATH
dir=$(mktemp -d "${TMPDIR:-/tmp}/ganger-demo.XXXXXX")
GANGER_SOCKET=$dir/ganger.sock
export PATH GANGER_SOCKET
daemon=

clean_up() {
	[ -z "$daemon" ] || kill -KILL "$daemon" 2>/dev/null || true
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') off=$(printf '\033[0m')
else
	bold= dim= off=
fi
step() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }
say() { printf '  %s\n' "$*"; }
show() { sed 's/^/    /'; }
fail() {
	printf 'demo: %s\n' "$*" >&2
	[ ! -f "$dir/log" ] || tail -n 20 "$dir/log" >&2
	exit 1
}
now() { date +%s%N; }
ms_since() { echo $((($(now) - $1) / 1000000)); }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / (b > 0 ? b : 1) }'; }
seconds() { awk -v ms="$1" 'BEGIN { printf "%.2f s", ms / 1000 }'; }

# The list goes to the daemon as {"path": LINE}, a task each.
hash_on() { ganger map sha512 --as path -q "$1" <"$dir/files"; }
# "HASH  PATH" lines, as sha512sum prints them.
as_sums() { sed 's/^{"sha512":"\([0-9a-f]*\)".*"path":"\(.*\)"}$/\1  \2/'; }

step "A daemon, in the folder $dir"
cores=$(getconf _NPROCESSORS_ONLN)
[ "$cores" -ge 2 ] || cores=2
cat >"$dir/ganger.conf" <<CONF
socket = "$dir/ganger.sock"
state_dir = "$dir/state"
log_file = "$dir/log"
pool "one"  { processes = 1       threads = 1  queues = {"one"} }
pool "many" { processes = $cores  threads = 1  queues = {"default"} }
CONF
show <"$dir/ganger.conf"
gangerd -c "$dir/ganger.conf" -t >/dev/null
gangerd -c "$dir/ganger.conf" -d || fail "the daemon did not start"
daemon=$(cat "$dir/state/gangerd.pid")
ganger status | show

step "Hash the files of /usr/share/doc and of /usr/lib, as sha512sum does"
# Plain names only, which look the same in JSON; and files until half a
# gigabyte is together, a few seconds of work.
find /usr/share/doc /usr/lib -xdev -type f -readable -printf '%s %p\n' |
	LC_ALL=C grep -v '[^ !#-[^-~]\|]' | awk '
		sum + $1 <= 500e6 { sum += $1; sub(/^[0-9]+ /, ""); print }' \
		>"$dir/files"
files=$(wc -l <"$dir/files")
tr '\n' '\0' <"$dir/files" | xargs -0 sha512sum >"$dir/want"
megabytes=$(tr '\n' '\0' <"$dir/files" | xargs -0 cat | wc -c |
	awk '{ printf "%d", $1 / 1e6 }')
say "$files files, $megabytes MB, a task each"

start=$(now)
hash_on one >"$dir/one"
one=$(ms_since "$start")
say "1 process:   $(seconds "$one")"
start=$(now)
hash_on default >"$dir/many"
many=$(ms_since "$start")
say "$cores processes: $(seconds "$many"), $(ratio "$many" "$one") of the time with one"
for got in one many; do
	as_sums <"$dir/$got" | cmp -s - "$dir/want" ||
		fail "the hashes differ from sha512sum's"
done
say "all $files hashes are those of sha512sum, in the order of the list"

step "Sort two arrays of a million integers"
arrays() { printf '{"count":1000000,"seed":%d}\n' 1 2; }
arrays | ganger map sort >/dev/null # both workers warm
start=$(now)
arrays | ganger map sort --jobs 1 >"$dir/sorted1"
serial=$(ms_since "$start")
start=$(now)
arrays | ganger map sort --jobs 2 >"$dir/sorted2"
parallel=$(ms_since "$start")
cmp -s "$dir/sorted1" "$dir/sorted2" || fail "the two sorts differ"
say "one after the other: $serial ms"
say "in parallel:         $parallel ms, $(ratio "$serial" "$parallel") times as fast"

step "Hash again, and kill a worker in the middle (kill -9)"
hash_on default >"$dir/again" &
map=$!
# When the work is well on its way, the worker that is busy has to go.
victim=
while [ -z "$victim" ] && kill -0 "$map" 2>/dev/null; do
	victim=$(ganger --json workers | grep '"state":"busy"' |
		grep -v '"tasks_done":[0-9]\{1,2\},' |
		sed -n 's/.*"worker":"\(many[^"]*\)".*"pid":\([0-9]*\).*/\2/p' |
		head -n 1)
done
[ -z "$victim" ] || kill -KILL "$victim"
wait "$map" || fail "the hashing failed"
as_sums <"$dir/again" | cmp -s - "$dir/want" || fail "hashes were lost"
grep "pid ${victim:-none}, killed" "$dir/log" | show
ganger workers | show
say "all $files hashes are there again, each once: nothing was lost"

step "Stop: the queues drain, each worker swallows its poison pill"
mark=$(wc -l <"$dir/log")
ganger stop
for _ in $(seq 100); do
	kill -0 "$daemon" 2>/dev/null || break
	sleep 0.05
done
kill -0 "$daemon" 2>/dev/null && fail "the daemon did not stop"
daemon=
tail -n "+$((mark + 1))" "$dir/log" | show
[ ! -e "$dir/ganger.sock" ] || fail "the socket was left behind"

printf '\n%sThat was Ganger.%s  README.md shows how to run it with handlers of your own.\n' "$bold" "$off"
