#!/usr/bin/env bash
# The plugin's engine under many threads, without nbdkit around it: so the thread sanitizer sees all.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"

for sessions in 1 3; do
	# Every disk of the target, then one LUN: other ways to open and to close.
	start_gateway --threads=2 -i 127.0.0.1:0 mem:32M mem:32M
	"$engine_load" "${iscsi_uri%/*}" $sessions 32 "${OPERATIONS:-300}"
	start_gateway --threads=2 -i 127.0.0.1:0 mem:32M
	"$engine_load" "$iscsi_uri" $sessions 64 "${OPERATIONS:-300}"
done
