#!/usr/bin/env bash
# Random reads, writes, trims, zeroes, caches and statuses, with and without FUA, over 4 connections
# 64 deep, against a model; and again in parts of blocks, with the connections cut at random. On
# memory, on a file and on a LUN of tgtd. OPERATIONS or SECONDS_EACH: so much of each; DEVICES: some.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
amount="-n ${OPERATIONS:-2000}"
[ -z "${SECONDS_EACH:-}" ] || amount="-t $SECONDS_EACH"

model() {	# OPTION...: a client of the gateway that was started last
	"$nbd_model" -c 4 -d 64 $amount -s "${SEED:-$$}" "$@" "$nbd_uri"
}

for device in ${DEVICES:-mem file tgtd}; do
	case $device in
	mem) uri=mem:64M ;;
	file)
		truncate -s 64M "$tmp/disk.img"
		uri=file:$tmp/disk.img
		;;
	tgtd)
		start_tgtd 64M
		uri=$tgt_uri
		;;
	esac
	start_gateway -n 127.0.0.1:0 "$uri"
	echo "$device:"
	model
	model -g 1 -l 100000 -k 200
	kill $gateway_pid
	wait $gateway_pid || fail "$device: exit status $?"
done
