# For every shell test here: . "$srcdir/functions.sh"
#
#	requires PROGRAM...	skip (77) when one is missing; with NO_SKIPS, fail
#	cleanup_fn CMD ARG...	run at exit, last first
#	start_gateway ARG...	the daemon in the background, ready when this returns;
#				sets gateway_pid, nbd_uri, iscsi_uri; its log is $tmp/gateway.N.log
#	start_tgtd SIZE [LUN COUNT], restart_tgtd, kill_tgtd, start_istgt SIZE, start_nbdkit ARG..., start_qemu_nbd ARG...
#				peers, ready when these return; each sets a URI
#	hang_up PID LOG TEXT	a SIGHUP, and what the gateway says to it
#	qemu_io ARG...		of whose commands none may fail, nor find other bytes than -P names
#	fio_verify URI ARG...	a random load over NBD that checks what it reads
#	$tools, $nbd_model		programs for tests, built in tests/tools
#	free_port		a TCP port of 127.0.0.1 that nobody has, nor gets by chance
#
# Every process is ended at exit by its pid; all of a test's files are in $tmp.

set -eu
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

: "${abs_top_builddir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${srcdir:=$(cd "$(dirname "$0")/.." && pwd)}"
gateway=$abs_top_builddir/gateway/nbd-iscsi-gateway
plugin=$abs_top_builddir/nbdkit-plugin/.libs/nbdkit-iscsi-plugin.so
tools=$abs_top_builddir/tests/tools
nbd_model=$tools/nbd_model
engine_load=$tools/engine_load

tmp=$(mktemp -d "${TMPDIR:-/tmp}/nbd-iscsi-test.XXXXXX")
cleanups=
gateways=0

cleanup_fn() {
	cleanups="$*
$cleanups"
}

run_cleanups() {
	status=$?
	trap - EXIT
	set +e
	[ $status -eq 0 ] || [ $status -eq 77 ] || show_logs
	printf '%s' "$cleanups" | while IFS= read -r command; do eval "$command"; done
	rm -rf "$tmp"
	exit $status
}
trap run_cleanups EXIT
trap 'exit 1' INT TERM HUP

show_logs() {
	for log in "$tmp"/*.log; do
		[ -s "$log" ] || continue
		echo "--- $(basename "$log")" >&2
		tail -n 40 "$log" >&2
	done
}

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

requires() {
	for program; do
		command -v "$program" >/dev/null && continue
		echo "this test needs $program" >&2
		[ -z "${NO_SKIPS:-}" ] || exit 1
		exit 77
	done
}

# Wait until a command succeeds, as long as process $1 lives; 30 s at most.
wait_for() {
	local pid=$1 tries=1500
	shift
	until "$@" 2>/dev/null; do
		kill -0 "$pid" 2>/dev/null || fail "process $pid ended before: $*"
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "not within 30 s: $*"
		sleep 0.02
	done
}

# PID LOG TEXT: have a gateway read its file again, and wait for one more line with what it says then.
hang_up() {
	local before
	before=$(grep -c "$3" "$2") || :
	kill -HUP "$1"
	wait_for "$1" has_more_than "$before" "$2" "$3"
}
has_more_than() { [ "$(grep -c "$3" "$2")" -gt "$1" ]; }

# End a process that we started, and wait until it is gone.
end_process() {
	kill "$1" 2>/dev/null && timeout 20 tail -s 0.05 --pid="$1" -f /dev/null || kill -9 "$1" 2>/dev/null || :
}

# Not of those that connect() takes (from 32768 on, if the system has not been told otherwise): another
# test's client may have it before our server, or while that is away; who connects in vain to one of
# them may even come to be connected to himself. A process that asks begins with a number of its own.
free_port() {
	python3 - <<-'END'
	import os, socket
	port = os.getpid()
	while True:
	    with socket.socket() as s:
	        try:
	            s.bind(("127.0.0.1", 10000 + port % 22000))
	            print(s.getsockname()[1])
	            break
	        except OSError:
	            port += 7919
	END
}

accepts() {	# HOST PORT: does anybody listen there?
	python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2]))).close()' "$1" "$2"
}

served_uri() {	# LOG SCHEME: the first URI of that scheme that the gateway said it serves
	sed -n "s|.*serving \\($2[^ ]*\\)\$|\\1|p" "$1" | head -n 1
}

start_gateway() {
	gateways=$((gateways + 1))
	local log=$tmp/gateway.$gateways.log pidfile=$tmp/gateway.$gateways.pid
	"$gateway" -P "$pidfile" "$@" 2>"$log" &
	gateway_pid=$!
	cleanup_fn end_process $gateway_pid
	wait_for $gateway_pid test -s "$pidfile"
	nbd_uri=$(served_uri "$log" nbd | sed 's/^nbds/nbd/')
	iscsi_uri=$(served_uri "$log" iscsi)
}

tgt_number=0
tgt_pid=
tgt_iqn=iqn.2026-11.test:tgt

# tgtd's LUN 0 is its controller: the disks are LUNs 1 and up. Sets tgt_uri (LUN 1), tgt_portal.
start_tgtd() {
	requires tgtd tgtadm
	tgt_size=$1 tgt_count=${2:-1}
	local port
	port=$(free_port)
	tgt_number=$((10000 + port % 20000))
	tgt_file=$tmp/tgt
	tgt_portal=127.0.0.1:$port
	tgt_uri=iscsi://$tgt_portal/$tgt_iqn/1
	export TGT_IPC_SOCKET=$tmp/tgt.ipc
	cleanup_fn kill_tgtd
	run_tgtd
}

# Kill it as it stands, and start it again, with the same units at the same port.
restart_tgtd() {
	kill_tgtd
	run_tgtd
}

# tgtd ignores SIGTERM while it has targets.
kill_tgtd() {
	[ -n "$tgt_pid" ] || return 0
	kill -9 $tgt_pid
	wait $tgt_pid 2>/dev/null || :
	tgt_pid=
}

run_tgtd() {
	local lun
	tgtd -f -C $tgt_number --iscsi portal=$tgt_portal >"$tmp/tgtd.log" 2>&1 &
	tgt_pid=$!
	wait_for $tgt_pid tgtadm -C $tgt_number --mode system --op show >/dev/null
	tgtadm -C $tgt_number --mode target --op new --tid 1 --targetname $tgt_iqn
	for lun in $(seq "$tgt_count"); do
		truncate -s "$tgt_size" "$tgt_file.$lun"
		tgtadm -C $tgt_number --mode logicalunit --op new --tid 1 --lun "$lun" \
			--backing-store "$tgt_file.$lun"
		# Without this it says that it cannot unmap.
		tgtadm -C $tgt_number --mode logicalunit --op update --tid 1 --lun "$lun" \
			--params thin_provisioning=1
	done
	tgtadm -C $tgt_number --mode target --op bind --tid 1 --initiator-address ALL
}

# Sets istgt_uri, of a target without authentication, and istgt_portal. The targets "chap" and
# "mutual" have accounts: see istgt.auth below. Called again, it takes the place of the first.
istgt_pid=
start_istgt() {	# SIZE [METHOD of authentication in discovery sessions]
	requires istgt
	local size=$1 discovery=${2:-None} iqn=iqn.2026-11.test port
	kill_istgt
	port=$(free_port)
	istgt_portal=127.0.0.1:$port
	truncate -s "$size" "$tmp/istgt.img" "$tmp/istgt.chap.img" "$tmp/istgt.mutual.img"
	sed -e "s|@TMP@|$tmp|g; s|@PORT@|$port|g; s|@CONTROL@|$(free_port)|g; s|@DISCOVERY@|$discovery|g" \
		"$srcdir/interop/istgt.conf.in" >"$tmp/istgt.conf"
	(umask 077 && cat >"$tmp/istgt.auth") <<-END
	[AuthGroup1]
	  Auth "alice" "secret-of-alice1" "target" "secret-of-target"
	END
	istgt -D -c "$tmp/istgt.conf" >"$tmp/istgt.log" 2>&1 &
	istgt_pid=$!
	cleanup_fn kill_istgt
	wait_for $istgt_pid accepts 127.0.0.1 "$port"
	istgt_uri=iscsi://$istgt_portal/$iqn:istgt/0
}

kill_istgt() {
	[ -n "$istgt_pid" ] || return 0
	kill -9 $istgt_pid
	wait $istgt_pid 2>/dev/null || :
	istgt_pid=
}

peers=0

# On a unix socket; sets peer_uri, peer_pid, peer_socket.
start_nbdkit() {
	requires nbdkit
	peers=$((peers + 1))
	peer_socket=$tmp/peer.$peers.sock
	nbdkit -f -U "$peer_socket" -P "$tmp/peer.$peers.pid" "$@" 2>"$tmp/nbdkit.$peers.log" &
	peer_pid=$!
	cleanup_fn end_process $peer_pid
	wait_for $peer_pid test -s "$tmp/peer.$peers.pid"
	peer_uri="nbd+unix:///?socket=$peer_socket"
}

start_qemu_nbd() {
	requires qemu-nbd
	peers=$((peers + 1))
	peer_socket=$tmp/peer.$peers.sock
	qemu-nbd -t -e 16 -k "$peer_socket" --pid-file="$tmp/peer.$peers.pid" "$@" 2>"$tmp/qemu-nbd.$peers.log" &
	peer_pid=$!
	cleanup_fn end_process $peer_pid
	wait_for $peer_pid test -s "$tmp/peer.$peers.pid"
	peer_uri="nbd+unix:///?socket=$peer_socket"
}

# Its exit status alone does not tell of everything; what it says is in $tmp/qemu-io.log.
qemu_io() {
	qemu-io "$@" >"$tmp/qemu-io.log" 2>&1 && ! grep -qi -e error -e fail "$tmp/qemu-io.log" ||
		fail "qemu-io $*"
}

# URI: one request of each kind, and what must be there then.
requests_of_every_kind() {
	qemu_io -f raw "$1" -c 'write -P 0x5a 1M 64k' -c 'write -f -P 0x5b 65k 512' \
		-c 'write -z 2M 1M' -c 'write -z -u 4M 1M' -c 'discard 6M 1M' -c flush \
		-c 'read -P 0x5a 1M 64k' -c 'read -P 0x5b 65k 512' -c 'read -P 0 2M 1M' \
		-c 'read -P 0 4M 1M'
}

fio_verify() {
	fio --name=verify --ioengine=nbd --uri="$1" "${@:2}" \
		--verify=crc32c --verify_fatal=1 --verify_state_save=0 --output="$tmp/fio.log" || fail "fio $*"
}

# FILE CA LINE...: a key and a certificate of these template lines, signed by the CA (none: by
# itself).
certificate() {
	local file=$1 ca=$2 sign=--generate-self-signed
	shift 2
	[ "$ca" = none ] || sign="--generate-certificate --load-ca-certificate=$ca-cert.pem
		--load-ca-privkey=$ca-key.pem"
	printf '%s\n' "$@" "expiration_days = 7" signing_key >"$tmp/template"
	certtool --generate-privkey --key-type=ecdsa --outfile="$file-key.pem" 2>"$tmp/certtool.log"
	certtool $sign --template="$tmp/template" --load-privkey="$file-key.pem" \
		--outfile="$file-cert.pem" 2>>"$tmp/certtool.log"
}

# What libnbd and QEMU want to find in a directory.
client_dir() {	# DIR CA LINE...
	mkdir "$1"
	certificate "$1/client" "$2" "${@:3}"
	cp "$2-cert.pem" "$1/ca-cert.pem"
}

# FILE SIZE: bytes that do not compress, with holes between them.
random_image() {
	truncate -s "$2" "$1"
	python3 - "$1" <<-'END'
	import os, random, sys
	rng = random.Random(7)
	size = os.path.getsize(sys.argv[1])
	with open(sys.argv[1], "r+b") as f:
	    for _ in range(64):
	        f.seek(rng.randrange(0, size - 65536) & ~511)
	        f.write(rng.randbytes(rng.randrange(512, 65536, 512)))
	END
}

# SUITE URI [URI]: a suite of iscsi-test-cu, perhaps by two paths, of which nothing may fail.
# suite_options: -d unless the unit cannot be written to.
iscsi_suite() {
	requires iscsi-test-cu
	local log=$tmp/suite.$1.log
	timeout 900 iscsi-test-cu ${suite_options--d} -v -f -t "ALL.$1" "$2" ${3:+"$3"} >"$log" 2>&1 || :
	# A line of its summary: tests, total, run, passed, failed, inactive.
	set -- "$1" $(sed -n 's/^ *tests  *\([0-9].*\)$/\1/p' "$log")
	echo "iscsi-test-cu $1: ${3:-0} run, ${4:-0} passed, ${5:-?} failed," \
		"$(grep -c '\[SKIPPED\]' "$log") skipped"
	[ "${5:-1}" = 0 ] && [ "${3:-0}" -gt 0 ] || { cat "$log" >&2; fail "suite $1"; }
}

# SIZE: the reference server, over TCP; sets peer_uri, peer_pid.
start_nbd_server() {
	requires nbd-server
	local port
	port=$(free_port)
	truncate -s "$1" "$tmp/nbd-server.img"
	cat >"$tmp/nbd-server.conf" <<-END
	[generic]
	listenaddr = 127.0.0.1
	port = $port
	[disk]
	exportname = $tmp/nbd-server.img
	trim = true
	flush = true
	fua = true
	END
	# It has no foreground mode that serves more than one client. It allocates 64 MiB per request:
	# overwriting that each time takes longer than the test may.
	env -u MALLOC_PERTURB_ nbd-server -C "$tmp/nbd-server.conf" -p "$tmp/nbd-server.pid" >"$tmp/nbd-server.log" 2>&1
	wait_for $$ test -s "$tmp/nbd-server.pid"
	peer_pid=$(cat "$tmp/nbd-server.pid")
	cleanup_fn end_process $peer_pid
	wait_for $peer_pid accepts 127.0.0.1 "$port"
	peer_uri=nbd://127.0.0.1:$port/disk
}
