#!/usr/bin/env bash
# Wrong command lines, and peers that are not there or not what they should be: each has its
# exact one-line error and exit status.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires python3

# STATUS MESSAGE ARG...: the message is a shell pattern for the whole of stderr.
expect() {
	local want=$1 message=$2 status=0 said
	shift 2
	said=$(timeout 60 "$gateway" "$@" 2>&1 >/dev/null) || status=$?
	# Where it listened is no error.
	said=$(printf '%s\n' "$said" | grep -v ': serving ')
	[ $status = "$want" ] || fail "'$*': exit status $status, not $want: $said"
	case "$said" in
	"nbd-iscsi-gateway: "$message) ;;
	*) fail "'$*' says: $said
expected: nbd-iscsi-gateway: $message" ;;
	esac
	[ "$(printf '%s\n' "$said" | wc -l)" = 1 ] || fail "'$*' says more than one line: $said"
}

example='nbd-iscsi-gateway --nbd=:10809 iscsi://san.example/iqn.2001-04.com.example:disk/0'
expect 2 "no DEVICE to serve; for example: $example"
expect 2 "no DEVICE to serve; for example: $example" -n :0 -i :0
expect 2 "nothing to listen on: give --nbd=ADDR or --iscsi=ADDR; for example: $example" mem:1M
expect 2 "--frobnicate: no such option; try --help" --frobnicate
expect 2 "-q: no such option; try --help" -q
expect 2 "-q: no such option; try --help" --nbd=:0 -qr mem:1M
expect 2 "--read-only=yes: --read-only takes no argument" --read-only=yes mem:1M
expect 2 "--tls-=x: that is short for several options; try --help-all" --tls-=x
expect 2 "--nbd: needs an argument" --nbd
expect 2 "-P: needs an argument" -P
expect 2 '--nbd=localhost:70000: "70000" is not a port from 0 to 65535' -n localhost:70000 mem:1M
expect 2 '--nbd=localhost:http: "http" is not a port from 0 to 65535' -n localhost:http mem:1M
expect 2 "--nbd=::1:5: an IPv6 address is written in brackets, \\[address\\]:port" -n ::1:5 mem:1M
expect 2 "--nbd=\\[::1: expected \\[address\\]:port" -n '[::1' mem:1M
expect 2 "--nbd=: the address is empty" -n '' mem:1M
expect 2 "--nbd=unix:: the path is empty" -n unix: mem:1M
expect 2 "--iscsi=unix:/tmp/x: iSCSI runs over TCP only" -i unix:/tmp/x mem:1M
expect 2 "--target=disk: not an iSCSI name (iqn.YYYY-MM.reversed.domain:name, eui. or naa.)" \
	-t disk -n :0 mem:1M
expect 2 "--threads=0: not a number from 1 to 256" -T 0 -n :0 mem:1M
expect 2 "--write-log=much: not a size up to 64G (for example 64M)" --write-log=much -n :0 mem:1M
expect 2 "--write-log=65G: not a size up to 64G (for example 64M)" --write-log=65G -n :0 mem:1M
expect 2 "--shared=b: no device has this name" --shared=b -n :0 a=mem:1M
expect 2 "--threads=many: not a number from 1 to 256" -T many -n :0 mem:1M
expect 2 "--block-size=520: neither 512 nor 4096" --block-size=520 -i :0 mem:1M
expect 2 "--debug=scsi.nothing: no such area; there are: *scsi.cdb*" --debug=scsi.nothing -n :0 mem:1M
expect 2 '=mem:1M: the name before '"'='"' is empty' -n :0 =mem:1M
expect 2 'two devices are named "a"' -n :0 a=mem:1M a=mem:1M

expect 2 'mem:lots: "lots" is not a size (for example 64M, 10G, 1T)' -n 127.0.0.1:0 mem:lots
expect 2 'mem:0: "0" is not a size (for example 64M, 10G, 1T)' -n 127.0.0.1:0 mem:0
expect 2 'mem:9E: "9E" is not a size (for example 64M, 10G, 1T)' -n 127.0.0.1:0 mem:9E
expect 1 "file:$tmp/none: No such file or directory" -n 127.0.0.1:0 "file:$tmp/none"
expect 1 "file:$tmp: Is a directory" -n 127.0.0.1:0 "file:$tmp"
expect 2 "file:: the path is empty" -n 127.0.0.1:0 file:
expect 2 "iscsi://me%...@host/iqn.2026-11.test:x/0: a password in the URL can be read by everybody: *" \
	-n 127.0.0.1:0 iscsi://me%secret@host/iqn.2026-11.test:x/0
expect 2 "?: the name is not UTF-8" -n 127.0.0.1:0 $'\xff=mem:1M'
expect 2 "http://x/: not a DEVICE: expected iscsi://, nbd://, nbds://, nbd+unix://, nbds+unix://, file:PATH or mem:SIZE" \
	-n 127.0.0.1:0 http://x/
expect 2 "iscsi://127.0.0.1/iqn.2026-11.test:x: the LUN is missing: iscsi://host\\[:port\\]/target-iqn/lun" \
	-n 127.0.0.1:0 iscsi://127.0.0.1/iqn.2026-11.test:x

# Nobody there.
port=$(free_port)
far=iscsi://127.0.0.1:$port/iqn.2026-11.test:x/0
expect 1 "$far: connect to 127.0.0.1:$port: Connection refused" -n 127.0.0.1:0 $far
far=nbd://127.0.0.1:$port
expect 1 "$far: connect*Connection refused" -i 127.0.0.1:0 $far
expect 1 "nbd+unix:///?socket=$tmp/none.sock: connect*No such file or directory" \
	-i 127.0.0.1:0 "nbd+unix:///?socket=$tmp/none.sock"

# Somebody else there: an NBD server where a target should be, and the reverse.
start_gateway -n 127.0.0.1:0 -i 127.0.0.1:0 mem:1M
nbd=${nbd_uri#nbd://}
iscsi=${iscsi_uri#iscsi://}
iscsi=${iscsi%%/*}
expect 1 "iscsi://$nbd/iqn.2026-11.test:x/0: not an iSCSI target: *" \
	-n 127.0.0.1:0 iscsi://$nbd/iqn.2026-11.test:x/0
expect 1 "nbd://$nbd/none: *" -i 127.0.0.1:0 nbd://$nbd/none
expect 1 "iscsi://$iscsi/iqn.2026-11.test:none/0: login refused: 0203 target not found" \
	-n 127.0.0.1:0 iscsi://$iscsi/iqn.2026-11.test:none/0
expect 1 "${iscsi_uri%/0}/7: LUN 7 does not exist on the target" -n 127.0.0.1:0 "${iscsi_uri%/0}/7"

# An address that is taken.
expect 1 "cannot listen on $nbd: Address already in use" -n $nbd mem:1M
expect 1 "--pidfile=$tmp/none/pid: No such file or directory" -P "$tmp/none/pid" -n 127.0.0.1:0 mem:1M

! "$gateway" --help >/dev/full 2>"$tmp/full.log" && grep -q 'standard output: No space' "$tmp/full.log" ||
	fail "--help to a full device: $(cat "$tmp/full.log")"
# Hosts have whole blocks only.
truncate -s 100 "$tmp/little"
truncate -s 1000 "$tmp/odd"
expect 0 "file:$tmp/little: it has less than a block of 512 bytes: a LUN without a medium" \
	-i 127.0.0.1:0 --run=true "file:$tmp/little"
expect 0 "file:$tmp/odd: the last 488 bytes are not a block of 512, and in no LUN" \
	-i 127.0.0.1:0 --run=true "file:$tmp/odd"

"$gateway" --version | grep -q '^nbd-iscsi-gateway [0-9]' || fail "--version"
[ "$("$gateway" --help | wc -l)" -le 30 ] || fail "--help does not fit one screen"
[ "$("$gateway" --help | wc -L)" -le 100 ] || fail "--help is too wide"
