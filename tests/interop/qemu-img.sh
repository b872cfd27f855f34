#!/usr/bin/env bash
# qemu-img over nbd+unix://, with the daemon and with the plugin: images come out as they went in,
# and what was never written takes no room.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires qemu-img qemu-io nbdkit

random_image "$tmp/in.img" 64M
start_tgtd 64M 2

round_trip() {	# NBD-URI LUN
	qemu-img convert -n -f raw -O raw -W "$tmp/in.img" "$1"
	cmp "$tmp/in.img" "$tgt_file.$2"
	qemu-img convert -f raw -O qcow2 "$1" "$tmp/out.qcow2"
	qemu-img compare -f raw -F qcow2 "$1" "$tmp/out.qcow2"
	qemu-img compare -f raw -F qcow2 "$tmp/in.img" "$tmp/out.qcow2"
	qemu-img map --output=json -f raw "$1" | grep -q '"data": false' || fail "$1: no holes"
	# Into it again, by a program that was told that it holds zeroes.
	qemu-io -f raw "$1" -c 'write -z -u 0 64M' -c flush >/dev/null
	qemu-img map --output=json -f raw "$1" | grep -q '"data": true' && fail "$1: zeroes are data"
	qemu-img convert -n --target-is-zero -f qcow2 -O raw -m 16 -W "$tmp/out.qcow2" "$1"
	cmp "$tmp/in.img" "$tgt_file.$2"
	[ $(($(du -k "$tmp/out.qcow2" | cut -f1))) -lt 16384 ] || fail "$1: a full copy"
	rm "$tmp/out.qcow2"
}

start_gateway -n "unix:$tmp/gateway.sock" "$tgt_uri"
round_trip "nbd+unix:///?socket=$tmp/gateway.sock" 1

[ -z "${SANITIZED:-}" ] || { echo "nbdkit itself is not built with the sanitizer"; exit 0; }
start_nbdkit "$plugin" "${tgt_uri%/1}"
round_trip "nbd+unix:///lun2?socket=$peer_socket" 2
