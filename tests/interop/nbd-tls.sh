#!/usr/bin/env bash
# TLS of NBD clients, with certificates and with keys: who is let in, who is not, and that all of
# the protocol goes through it.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires certtool psktool python3 nbdinfo nbdcopy qemu-img qemu-io

mkdir "$tmp/server"
certificate "$tmp/server/ca" none 'cn = "Test CA"' ca cert_signing_key
# Another one of the same name: whose certificates it is takes looking at signatures.
certificate "$tmp/other" none 'cn = "Test CA"' ca cert_signing_key
certificate "$tmp/server/server" "$tmp/server/ca" 'cn = "localhost"' 'dns_name = "localhost"' \
	'ip_address = "127.0.0.1"' tls_www_server encryption_key
client_dir "$tmp/alice" "$tmp/server/ca" 'cn = "alice"' 'organization = "Test"' tls_www_client
client_dir "$tmp/bob" "$tmp/server/ca" 'cn = "bob"' 'organization = "Test"' tls_www_client
client_dir "$tmp/eve" "$tmp/other" 'cn = "alice"' 'organization = "Test"' tls_www_client
# Eve knows our CA; her certificate is of the other one.
cp "$tmp/server/ca-cert.pem" "$tmp/eve/ca-cert.pem"
mkdir "$tmp/nobody" "$tmp/stranger" "$tmp/psk" "$tmp/wrong"
cp "$tmp/server/ca-cert.pem" "$tmp/nobody/"
cp "$tmp/other-cert.pem" "$tmp/stranger/ca-cert.pem"
psktool -u alice -p "$tmp/psk/keys.psk" >/dev/null
psktool -u alice -p "$tmp/wrong/keys.psk" >/dev/null
random_image "$tmp/in.img" 32M

secure() {	# NAME DIR: nbd_uri for a client with these certificates
	echo "nbds${nbd_uri#nbd}/${1:-}?tls-certificates=$2"
}

refused() {	# PATTERN CMD...: fails, and the gateway's log says why
	local pattern=$1 log=$tmp/gateway.$gateways.log
	shift
	! timeout 20 "$@" >"$tmp/refused.log" 2>&1 || fail "let in: $*"
	wait_for $gateway_pid grep -q "an NBD client is dropped: $pattern" "$log"
}

qemu_image() {	# the gateway, as QEMU's --image-opts
	local address=${nbd_uri#nbd://}
	echo "driver=nbd,host=${address%:*},port=${address##*:},tls-creds=tls0"
}

# Certificates, required --------------------------------------------------------------------------

start_gateway -n 127.0.0.1:0 -n "unix:$tmp/tls.sock" --tls=require \
	--tls-certificates="$tmp/server" mem:32M
for uri in nbds://127.0.0.1: nbds+unix:///; do	# so that --run's $uri can be used
	grep -q "serving $uri" "$tmp/gateway.$gateways.log" || fail "no $uri is served"
done
! nbdinfo --size "$nbd_uri" 2>"$tmp/plain.log" || fail "a plain client is let in"
grep -qi tls "$tmp/plain.log" || fail "a plain client is not told why: $(cat "$tmp/plain.log")"
uri=$(secure '' "$tmp/nobody")
[ "$(nbdinfo --size "$uri")" = 33554432 ] || fail "nbdinfo over TLS"
nbdinfo "nbds+unix:///?socket=$tmp/tls.sock&tls-certificates=$tmp/nobody&tls-hostname=localhost" \
	>/dev/null
nbdcopy --flush --connections=4 "$tmp/in.img" "$uri"
nbdcopy --connections=4 "$uri" "$tmp/out.img"
cmp "$tmp/in.img" "$tmp/out.img"
credentials=tls-creds-x509,id=tls0,endpoint=client,dir=$tmp/nobody
qemu-img convert --object "$credentials" --image-opts --target-image-opts -n \
	"driver=file,filename=$tmp/in.img" "$(qemu_image)"
nbdcopy "$uri" "$tmp/out.img"
cmp "$tmp/in.img" "$tmp/out.img"
qemu_io --object "$credentials" --image-opts "$(qemu_image)" -c 'write -P 7 1M 3M' -c 'write -z 2M 64k' -c 'discard 8M 1M' \
	-c 'write -f -P 8 513 511' -c flush -c 'read -P 7 1M 1M' -c 'read -P 0 2M 64k' \
	-c 'read -P 8 513 511'
"$nbd_model" -c 4 -d 64 -n "${OPERATIONS:-4000}" "$uri"

# Clients that do not trust us: one just goes, one says so (OpenSSL: with an alert in plain).
refused "TLS: the client hangs up in the handshake" nbdinfo "$(secure '' "$tmp/stranger")"
refused "TLS: Decryption has failed" python3 "$srcdir/interop/nbd_conformance.py" \
	-T "$tmp/other-cert.pem" -k "simple reply message" "${nbd_uri#nbd://}"
python3 "$srcdir/interop/nbd_conformance.py" -k FORCEDTLS "${nbd_uri#nbd://}" >"$tmp/tap.log" ||
	{ grep -A1 '^not ok' "$tmp/tap.log"; fail "rules of FORCEDTLS"; }

# By choice: every rule of the protocol holds over TLS, and some exports exist there only ---------

truncate -s 2M "$tmp/small.img"
start_gateway -n 127.0.0.1:0 --tls=on --tls-certificates="$tmp/server" --tls-only=secret \
	open=mem:64M small=mem:2M secret=mem:3M
python3 "$srcdir/interop/nbd_conformance.py" -T "$tmp/server/ca-cert.pem" -o small \
	"${nbd_uri#nbd://}" >"$tmp/tap.log" || { grep -A1 '^not ok' "$tmp/tap.log"; fail "rules"; }
tail -n 1 "$tmp/tap.log"
nbdinfo --list "$nbd_uri" >"$tmp/list.log"
! grep -q secret "$tmp/list.log" || fail "a plain client is told of the secret export"
! nbdinfo --size "$nbd_uri/secret" 2>/dev/null || fail "a plain client has the secret export"
[ "$(nbdinfo --size "$nbd_uri/open")" = 67108864 ] || fail "a plain client has not the open export"
nbdinfo --list "$(secure '' "$tmp/nobody")" | grep -q secret || fail "the secret is not listed"
[ "$(nbdinfo --size "$(secure secret "$tmp/nobody")")" = 3145728 ] || fail "the secret export"

start_gateway -n 127.0.0.1:0 --tls=on --tls-certificates="$tmp/server" --handshake-timeout=3 mem:2M
python3 "$srcdir/interop/nbd_conformance.py" -T "$tmp/server/ca-cert.pem" -t 3 -k deadline \
	"${nbd_uri#nbd://}" >"$tmp/tap.log" || { grep -A1 '^not ok' "$tmp/tap.log"; fail "deadlines"; }

# Certificates of clients --------------------------------------------------------------------------

start_gateway -n 127.0.0.1:0 --tls=require --tls-certificates="$tmp/server" --tls-verify-peer mem:1M
nbdinfo --size "$(secure '' "$tmp/alice")" >/dev/null
nbdinfo --size "$(secure '' "$tmp/bob")" >/dev/null
refused "TLS: Certificate is required" nbdinfo --size "$(secure '' "$tmp/nobody")"
refused "TLS: the client's certificate is refused: .*issuer is unknown" \
	nbdinfo --size "$(secure '' "$tmp/eve")"

start_gateway -n 127.0.0.1:0 --tls=require --tls-certificates="$tmp/server" --tls-verify-peer \
	--tls-allow=CN=carol --tls-allow=CN=alice,O=Test --tls-psk="$tmp/psk/keys.psk" mem:1M
nbdinfo --size "$(secure '' "$tmp/alice")" >/dev/null
refused "TLS: this client is not allowed: CN=bob,O=Test" nbdinfo --size "$(secure '' "$tmp/bob")"
refused "TLS: the client's certificate is refused" nbdinfo --size "$(secure '' "$tmp/eve")"
nbdinfo --size "nbds://alice@${nbd_uri#nbd://}/?tls-psk-file=$tmp/psk/keys.psk" >/dev/null

# Keys ---------------------------------------------------------------------------------------------

start_gateway -n 127.0.0.1:0 --tls=require --tls-psk="$tmp/psk/keys.psk" mem:32M
uri="nbds://alice@${nbd_uri#nbd://}/?tls-psk-file=$tmp/psk/keys.psk"
nbdcopy --flush --connections=4 "$tmp/in.img" "$uri"
nbdcopy "$uri" "$tmp/out.img"
cmp "$tmp/in.img" "$tmp/out.img"
qemu-img compare --object "tls-creds-psk,id=tls0,endpoint=client,dir=$tmp/psk,username=alice" \
	--image-opts "driver=file,filename=$tmp/in.img" "$(qemu_image)"
refused "TLS: .*" nbdinfo "nbds://alice@${nbd_uri#nbd://}/?tls-psk-file=$tmp/wrong/keys.psk"
! nbdinfo --size "nbds://mallory@${nbd_uri#nbd://}/?tls-psk-file=$tmp/psk/keys.psk" 2>/dev/null ||
	fail "somebody without a key is let in"
