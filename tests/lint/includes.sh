#!/bin/sh
# Check who includes whom:
#
#   master/supervisor, master/broker, worker   ipc and themselves
#   ipc                                        ipc; buf, line, rpc, json no loop
#   ipc/client                                 the pure part of ipc
#   worker/modules                             worker/handler.h
#   master (main and its glue)                 all of these
#   sqlite3.h, libpq-fe.h                      master/broker/store* only
set -u
awk '
function deny(why) {
	printf "%s:%d: must not include %s: %s\n", FILENAME, FNR, inc, why
	bad = 1
}
function room(path) {
	if (path ~ /^master\/supervisor\//) return "supervisor"
	if (path ~ /^master\/broker\//) return "broker"
	if (path ~ /^master\//) return "main"
	if (path ~ /^worker\/modules\//) return "modules"
	if (path ~ /^worker\//) return "worker"
	if (path ~ /^ipc\/client\//) return "client"
	if (path ~ /^ipc\//) return "ipc"
	return "tests"
}
/^[ \t]*#[ \t]*include/ {
	inc = $0
	sub(/^[^"<]*["<]/, "", inc)
	sub(/[">].*$/, "", inc)
	from = room(FILENAME)
	local = $0 ~ /"/
	if (inc ~ /^(sqlite3|libpq-fe)\.h$/ && FILENAME !~ /^master\/broker\/store/)
		deny("only the store knows its database")
	if (inc == "ev.h" && FILENAME ~ /^ipc\/(buf|line|rpc|json|sock|clock|fdpass)\./)
		deny("this part of ipc knows no event loop")
	if (inc == "ev.h" && FILENAME ~ /^master\/broker\/(task|ready|delay|catalog)\./)
		deny("pure modules know no event loop")
	if (inc == "ev.h" && FILENAME ~ /^master\/supervisor\/(restart|config)/)
		deny("pure modules know no event loop")
	if (inc == "ev.h" && from == "client")
		deny("clients need no event loop")
	if (!local) next
	if (inc !~ /\//) { deny("name the path from the root"); next }
	to = room(inc)
	if (from == to || from == "tests" || from == "main") next
	if (to == "ipc" && from == "client") {
		if (inc !~ /^ipc\/(buf|clock|json|line|place|proto|rpc|sock)\.h$/)
			deny("the client stands on the pure part of ipc")
		next
	}
	if (to == "ipc" && from ~ /^(supervisor|broker|worker)$/) next
	if (from == "modules" && inc == "worker/handler.h") next
	if (from == "worker" && to == "modules") next
	deny("wrong direction, from " from " to " to)
}
END { exit bad }
' "$@"
