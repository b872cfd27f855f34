#!/usr/bin/env bash
# RFC 7143, SPC-4 and SBC-3, rule by rule over a raw socket, against our target with memory and
# with a file behind it; and against tgtd, to see what it makes of them.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3 tgtd tgtadm
suite=$srcdir/interop/iscsi_conformance.py

conform() {	# NAME OPTION...: the gateway that was started last
	local name=$1
	shift
	python3 "$suite" -p "$gateway_pid" "$@" "$iscsi_uri" >"$tmp/$name" ||
		{ grep -v '^ok' "$tmp/$name"; fail "the suite with $name behind the target"; }
	echo "$name: $(tail -n 1 "$tmp/$name")"
}

start_gateway -T 2 -i 127.0.0.1:0 mem:64M
conform ours -t 15
truncate -s 64M "$tmp/disk"
start_gateway -T 2 -i 127.0.0.1:0 "file:$tmp/disk"
conform file

# The suite is more than tgtd takes: as often as it crashes, start it again.
keep_tgtd() {
	while :; do
		while kill -0 "$tgt_pid" 2>/dev/null; do sleep 0.05; done
		echo >>"$tmp/crashes"
		run_tgtd || :
		echo "$tgt_pid" >"$tmp/tgtd.pid"
	done
}

start_tgtd 64M
: >"$tmp/crashes"
keep_tgtd 2>/dev/null &
keeper=$!
cleanup_fn "kill -9 \$(cat $tmp/tgtd.pid) 2>/dev/null"
cleanup_fn "kill -9 $keeper"
python3 "$suite" -w 1 "$tgt_uri" >"$tmp/tgtd" || :
echo "tgtd: $(tail -n 1 "$tmp/tgtd"); $(wc -l <"$tmp/crashes") crashes"
python3 "$suite" -c "$tmp/ours" "$tmp/file" "$tmp/tgtd"
