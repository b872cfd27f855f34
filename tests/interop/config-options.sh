#!/usr/bin/env bash
# What SIGHUP changes of options: limits, TLS credentials and modes, CHAP secrets, traces, time-outs
# and connections of devices; and what needs a restart, which is told with its line. Sessions that
# are there stay, but those that would not be let in any more.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires certtool psktool python3 nbdinfo nbdkit iscsi-inq qemu-io

iqn=iqn.2026-11.test:options
port=$(free_port)
conf=$tmp/gw.conf
mkdir "$tmp/server"
certificate "$tmp/server/ca" none 'cn = "First CA"' ca cert_signing_key
certificate "$tmp/server/server" "$tmp/server/ca" 'cn = "localhost"' 'ip_address = "127.0.0.1"' \
	tls_www_server encryption_key
client_dir "$tmp/first" "$tmp/server/ca" 'cn = "alice"' tls_www_client
mkdir "$tmp/key"
psktool -u alice -p "$tmp/key/keys.psk" >/dev/null
cp "$tmp/key/keys.psk" "$tmp/server.psk"
(umask 077 && echo first-secret-of-it >"$tmp/secret" && echo secret-of-target >"$tmp/target")
start_nbdkit --filter=log memory 4M logfile="$tmp/nbdkit.txt"

# OPTIONS [OF THE DEVICE]
write_conf() {
	cat >"$conf" <<-END
	$1
	nbd = 127.0.0.1:0
	tls-certificates = $tmp/server
	tls-psk = $tmp/server.psk
	auth-group users { chap { user = user; secret-file = secret } }
	portal-group main { listen = 127.0.0.1:$port; discovery-auth-group = no-authentication }
	device far { uri = "$peer_uri"; ${2:-} }
	target $iqn { auth-group = users; lun 0 { device = mem:1M }; lun 1 { device = far } }
	nbd-export far { device = far }
	nbd-export memory { device = mem:2M }
	END
}

reload() { hang_up $gateway_pid "$log" 'gw.conf: reloaded'; }

write_conf 'threads = 2; tls = on; handshake-timeout = 0' 'connections = 1; outage-timeout = -1'
start_gateway -c "$conf"
log=$tmp/gateway.1.log
secure() { echo "nbds${nbd_uri#nbd}/$1?tls-certificates=$tmp/$2"; }

# A device has as many connections as it was told to.
connections() { grep -c ' connection=[0-9]* Connect ' "$tmp/nbdkit.txt"; }
[ "$(connections)" = 1 ] || fail "connections = 1: $(cat "$tmp/nbdkit.txt")"

# Clients that stay: in plain, over TLS, and one session. Each says what it reads, line by line.
hold() {	# NAME QEMU-IO ARGUMENT...
	local name=$1
	shift
	mkfifo "$tmp/$name.in"
	qemu-io "$@" <"$tmp/$name.in" >"$tmp/$name.out" 2>&1 &
	eval "$name=$!"
	cleanup_fn end_process $!
	exec {fd}>"$tmp/$name.in"
	eval "${name}_fd=$fd"
}
reads() { [ "$(grep -c 'read 512/512' "$tmp/$1.out")" -ge "$2" ]; }
ask() {		# NAME TIMES: that it has been asked
	local fd=${1}_fd
	echo 'read 0 512' >&"${!fd}"
	wait_for ${!1} reads "$1" "$2"
}
address=${nbd_uri#nbd://}
hold plain --image-opts "driver=nbd,host=${address%:*},port=${address##*:},export=memory,reconnect-delay=0"
hold encrypted --object "tls-creds-x509,id=tls0,endpoint=client,dir=$tmp/first" --image-opts \
	"driver=nbd,host=${address%:*},port=${address##*:},export=far,tls-creds=tls0,reconnect-delay=0"
hold keyed --object "tls-creds-psk,id=tls0,endpoint=client,dir=$tmp/key,username=alice" --image-opts \
	"driver=nbd,host=${address%:*},port=${address##*:},export=memory,tls-creds=tls0,reconnect-delay=0"
ask plain 1
ask encrypted 1
ask keyed 1
inq() { iscsi-inq "iscsi://user%$1@127.0.0.1:$port/$iqn/0" >/dev/null 2>&1; }
inq first-secret-of-it || fail "the first secret is refused"

# Other keys on the disk; another secret; a thread more, and a trace; and a device that waits no more.
mkdir "$tmp/next"
certificate "$tmp/next/ca" none 'cn = "Second CA"' ca cert_signing_key
certificate "$tmp/next/server" "$tmp/next/ca" 'cn = "localhost"' 'ip_address = "127.0.0.1"' \
	tls_www_server encryption_key
client_dir "$tmp/second" "$tmp/next/ca" 'cn = "alice"' tls_www_client
cp "$tmp"/next/* "$tmp/server"
echo second-secret-of-it >"$tmp/secret"
write_conf "tls = on
threads = 3
handshake-timeout = 3
debug = nbd.req
pidfile = $tmp/other.pid" 'connections = 1; outage-timeout = 0'
reload
grep -q "gw.conf:2: threads needs a restart" "$log" || fail "threads: not told"
[ "$(grep -c 'needs a restart' "$log")" = 1 ] || fail "more is told than has changed"
nbdinfo --size "$(secure memory second)" >/dev/null || fail "the new certificate is not used"
! nbdinfo --size "$(secure memory first)" >/dev/null 2>&1 || fail "the old certificate is used"
inq second-secret-of-it || fail "the second secret is refused"
! inq first-secret-of-it || fail "the first secret is still good"
ask plain 2
ask encrypted 2
ask keyed 2
grep -q 'NBD_CMD_READ' "$log" || fail "nothing is traced"
python3 - "$address" <<-'END' || fail "who says nothing is not dropped"
	import socket, sys
	host, port = sys.argv[1].rsplit(":", 1)
	with socket.create_connection((host, int(port)), 20) as s:
	    while s.recv(100):
	        pass
END
[ "$(connections)" = 1 ] || fail "the device has been opened anew"

# It waits no more.
kill -9 $peer_pid
echo 'read 1M 512' >&"$encrypted_fd"
wait_for $encrypted grep -q 'read failed' "$tmp/encrypted.out"

# A wrong file changes nothing; keys that are no good are the file's fault, too.
lines=$(wc -l <"$log")
echo nonsense >"$tmp/server/server-key.pem"
write_conf 'tls = require
debug = all'
hang_up $gateway_pid "$log" 'the configuration before stays in force'
grep -q "gw.conf:1: TLS: $tmp/server/server-cert.pem: " "$log" || fail "the reason is missing: $(tail -n +$lines "$log")"
ask plain 3
nbdinfo --size "$(secure memory second)" >/dev/null || fail "the credentials in force are lost"

# TLS for all: who is there without it goes, and who has come by a key that is gone; who has it stays.
cp "$tmp/next/server-key.pem" "$tmp/server"
psktool -u bob -p "$tmp/other.psk" >/dev/null
cp "$tmp/other.psk" "$tmp/server.psk"
write_conf 'tls = require' 'connections = 1; outage-timeout = 0'
echo 'nbd-export new { device = mem:3M }' >>"$conf"
rm "$peer_socket"
nbdkit -f -U "$peer_socket" -P "$tmp/again.pid" memory 4M 2>"$tmp/again.log" &
cleanup_fn end_process $!
reload
echo 'read 0 512' >&"$plain_fd"
wait_for $plain grep -q 'read failed' "$tmp/plain.out"
echo 'read 0 512' >&"$keyed_fd"
wait_for $keyed grep -q 'read failed' "$tmp/keyed.out"
[ "$(nbdinfo --size "$(secure new second)")" = 3145728 ] || fail "the new export"
! nbdinfo --size "$nbd_uri/memory" 2>/dev/null || fail "a plain client is let in"
back() { echo 'read 2M 512' >&"$encrypted_fd" && grep -q 'at offset 2097152' "$tmp/encrypted.out"; }
wait_for $encrypted back
traced=$(grep -c NBD_CMD_READ "$log")
echo 'read 3M 512' >&"$encrypted_fd"
wait_for $encrypted grep -q 'at offset 3145728' "$tmp/encrypted.out"
[ "$(grep -c NBD_CMD_READ "$log")" = "$traced" ] || fail "the trace goes on"

kill $plain $encrypted $keyed
kill -TERM $gateway_pid
wait $gateway_pid || fail "exit status $?"
