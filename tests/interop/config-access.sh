#!/usr/bin/env bash
# Who is let in by a configuration file, and who is not: by name, by CHAP in one direction and
# both, by address, by portal; what they see there; and NBD clients by certificate.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires iscsi-ls iscsi-inq qemu-io qemu-img nbdinfo certtool

port1=$(free_port)
port2=$(free_port)
port3=$(free_port)
iqn=iqn.2026-11.test
mkdir "$tmp/secrets" "$tmp/server"
for name in good mutual discovery; do
	(umask 077 && echo "$name-secret-of-it" >"$tmp/secrets/$name")
done
certificate "$tmp/server/ca" none 'cn = "Test CA"' ca cert_signing_key
certificate "$tmp/server/server" "$tmp/server/ca" 'cn = "localhost"' 'ip_address = "127.0.0.1"' \
	tls_www_server encryption_key
client_dir "$tmp/alice" "$tmp/server/ca" 'cn = "alice"' 'organization = "Test"' tls_www_client
client_dir "$tmp/bob" "$tmp/server/ca" 'cn = "bob"' 'organization = "Test"' tls_www_client

cat >"$tmp/gw.conf" <<-END
nbd = 127.0.0.1:0
tls = require
tls-certificates = $tmp/server
tls-verify-peer = yes
device shared { uri = mem:8M }
auth-group named { auth-type = none; initiator-name = $iqn:alice }
auth-group chap { chap { user = user; secret-file = secrets/good } }
auth-group mutual {
	chap-mutual { user = user; secret-file = secrets/good; mutual-user = gateway; mutual-secret-file = secrets/mutual }
}
auth-group finders { chap { user = finder; secret-file = secrets/discovery } }
auth-group six { auth-type = none; initiator-portal = "::1" }
portal-group one { listen = [127.0.0.1:$port1, "[::1]:$port1"]; tag = 1; discovery-auth-group = no-authentication }
portal-group two { listen = 127.0.0.1:$port2; tag = 2; discovery-auth-group = finders }
target $iqn:denied { portal-group = one; lun 0 { device = mem:1M } }
target $iqn:named {
	auth-group = named
	portal-group = one
	portal-group { name = two; auth-group = chap }
	lun 0 { device = shared }
	lun 1 { device = mem:4M }
	map $iqn:alice { lun 3 { target-lun = 0; read-only = yes } }
}
target $iqn:chap { auth-group = chap; portal-group = one; lun 0 { device = mem:2M } }
target $iqn:mutual { auth-group = mutual; portal-group = one; lun 0 { device = mem:3M } }
target $iqn:six { auth-group = six; portal-group = one; lun 0 { device = mem:5M } }
target $iqn:moved { auth-group = no-authentication; portal-group = one; redirect = "127.0.0.1:$port2" }
nbd-export all { device = shared; allow-from = 127.0.0.0/8 }
nbd-export far { device = shared; allow-from = [192.0.2.0/24, "2001:db8::/32"] }
nbd-export alice { device = mem:6M; allow = "CN=alice,O=Test" }
nbd-export side { device = mem:7M; listen = ["127.0.0.1:$port3", "unix:$tmp/side.sock"] }
nbd-export beside { device = mem:9M; listen = "127.0.0.1:$port3" }
END
start_gateway -c "$tmp/gw.conf"
log=$tmp/gateway.1.log
one=127.0.0.1:$port1
two=127.0.0.1:$port2

lets_in() {	# INITIATOR URL
	iscsi-inq -i "$1" "iscsi://$2" >"$tmp/inq.log" 2>&1 || fail "$1 is refused at $2: $(cat "$tmp/inq.log")"
}

refuses() {	# STATUS INITIATOR URL: the initiator is told so, in decimal
	! iscsi-inq -i "$2" "iscsi://$3" >"$tmp/inq.log" 2>&1 || fail "$2 is let in at $3"
	grep -qF "($((0x$1)))" "$tmp/inq.log" || { cat "$log" >&2; fail "no '$1' about $3: $(cat "$tmp/inq.log")"; }
}

# Sent elsewhere, where there is no such target. (First, for the log has not room for all that comes.)
refuses 0203 $iqn:bob $one/$iqn:moved/0
grep -q 'login refused: 0101' "$log" && grep -q 'login refused: 0203' "$log" || fail "not in the log"

# Nobody, where nothing is said.
refuses '0202' $iqn:alice $one/$iqn:denied/0
refuses '0203' $iqn:alice $one/$iqn:none/0

# By name; and the map of that name.
lets_in $iqn:alice $one/$iqn:named/3
refuses '0202' $iqn:bob $one/$iqn:named/3
! iscsi-inq -i $iqn:alice iscsi://$one/$iqn:named/0 >/dev/null 2>&1 || fail "LUN 0 is mapped to alice"
iscsi-ls -i $iqn:alice iscsi://$one >"$tmp/ls.txt" 2>&1 || :
[ "$(grep -c "Target:$iqn:named" "$tmp/ls.txt")" = 3 ] || fail "alice finds: $(cat "$tmp/ls.txt")"
grep -q "Target:$iqn:named Portal:$two,2" "$tmp/ls.txt" || fail "alice does not find the other portal"
! grep -q "$iqn:denied" "$tmp/ls.txt" || fail "alice finds what she may not: $(cat "$tmp/ls.txt")"
iscsi-ls -i $iqn:bob iscsi://$one >"$tmp/ls.txt" 2>&1 || :
! grep -q "$iqn:named" "$tmp/ls.txt" || fail "bob finds alice's: $(cat "$tmp/ls.txt")"
qemu() {	# OPTION INITIATOR PORTAL TARGET LUN COMMAND
	qemu-io $1 --image-opts -c "$6" \
		"driver=iscsi,transport=tcp,portal=$3,target=$4,lun=$5,initiator-name=$2" 2>&1
}
qemu -r $iqn:alice $one $iqn:named 3 'read 0 4k' | grep -q 'read 4096/4096' || fail "alice cannot read"
qemu '' $iqn:alice $one $iqn:named 3 'write 0 4k' | grep -q 'LUN is write protected' ||
	fail "what alice may only read is not write protected"

# By another portal, in another way.
refuses '0201' $iqn:alice $two/$iqn:named/3
lets_in $iqn:alice user%good-secret-of-it@$two/$iqn:named/3
refuses '0203' $iqn:bob user%good-secret-of-it@$two/$iqn:chap/0

# CHAP in one direction, and in both.
lets_in $iqn:bob user%good-secret-of-it@$one/$iqn:chap/0
refuses '0201' $iqn:bob user%bad-secret-of-it@$one/$iqn:chap/0
refuses '0201' $iqn:bob other%good-secret-of-it@$one/$iqn:chap/0
refuses '0201' $iqn:bob $one/$iqn:chap/0
lets_in $iqn:bob "user%good-secret-of-it@$one/$iqn:mutual/0?target_user=gateway&target_password=mutual-secret-of-it"
refuses '0201' $iqn:bob "user%bad-secret-of-it@$one/$iqn:mutual/0?target_user=gateway&target_password=mutual-secret-of-it"
! iscsi-inq -i $iqn:bob "iscsi://user%good-secret-of-it@$one/$iqn:mutual/0?target_user=gateway&target_password=wrong-secret-of-it" >/dev/null 2>&1 ||
	fail "an initiator believes a target with the wrong secret"

# By address.
if iscsi-inq "iscsi://[::1]:$port1/$iqn:six/0" >"$tmp/inq.log" 2>&1; then
	refuses '0202' $iqn:bob $one/$iqn:six/0
else
	grep -q 'Cannot assign\|Network is unreachable' "$tmp/inq.log" || fail "::1 is refused: $(cat "$tmp/inq.log")"
fi

# Discovery has a door of its own.
iscsi-ls iscsi://finder%discovery-secret-of-it@$two >"$tmp/ls.txt" 2>&1 || fail "$(cat "$tmp/ls.txt")"
! iscsi-ls iscsi://$two >"$tmp/ls.txt" 2>&1 || fail "discovery without credentials"

# NBD clients: what all see, and what only alice does.
secure() {
	echo "nbds${nbd_uri#nbd}/$1?tls-certificates=$2"
}
[ "$(nbdinfo --size "$(secure alice "$tmp/alice")")" = 6291456 ] || fail "alice cannot have alice's export"
[ "$(nbdinfo --size "$(secure all "$tmp/bob")")" = 8388608 ] || fail "bob cannot have all's export"
! nbdinfo --size "$(secure alice "$tmp/bob")" 2>/dev/null || fail "bob has alice's export"
nbdinfo --list "$(secure '' "$tmp/bob")" >"$tmp/list.txt"
grep -q 'export="all"' "$tmp/list.txt" && ! grep -q 'export="alice"' "$tmp/list.txt" || fail "bob sees: $(cat "$tmp/list.txt")"
nbdinfo --list "$(secure '' "$tmp/alice")" | grep -q 'export="alice"' || fail "alice does not see her export"
! nbdinfo --size "$(secure far "$tmp/alice")" 2>/dev/null || fail "an export for others' addresses"
! nbdinfo --size "$nbd_uri/all" 2>/dev/null || fail "an export without TLS"

# An export with listeners of its own is found there, beside others that say so, and nowhere else.
there() {	# EXPORT
	nbdinfo --size "nbds://127.0.0.1:$port3/$1?tls-certificates=$tmp/bob" 2>/dev/null || :
}
[ "$(there side)" = 7340032 ] && [ "$(there beside)" = 9437184 ] || fail "an export at its own listener"
[ "$(there '')" = 7340032 ] || fail "the first one there is not the default"
[ -z "$(there all)" ] || fail "what has no listener of its own is found at that of another"
! nbdinfo --size "$(secure side "$tmp/bob")" 2>/dev/null || fail "an export away from its own listener"
nbdinfo --list "nbds+unix:///?socket=$tmp/side.sock&tls-hostname=localhost&tls-certificates=$tmp/bob" >"$tmp/list.txt"
[ "$(grep -c 'export="' "$tmp/list.txt")" = 1 ] || fail "the unix socket has: $(cat "$tmp/list.txt")"

# And at a reload: the listener goes from the one to the other, and whoever is there with it.
sed -i '/^nbd-export beside/s/listen.*/}/; s/^nbd-export side.*/nbd-export side { device = mem:7M; listen = "unix:$tmp\/side.sock" }/' "$tmp/gw.conf"
sed -i "s|unix:\$tmp|unix:$tmp|; s|^nbd = .*|nbd = [\"127.0.0.1:0\", \"127.0.0.1:$port3\"]|" "$tmp/gw.conf"
hang_up $gateway_pid "$log" 'gw.conf: reloaded'
[ -z "$(there side)" ] && [ "$(there beside)" = 9437184 ] && [ "$(there all)" = 8388608 ] ||
	fail "after the reload"

! grep -q 'secret-of-it' "$log" || fail "a secret is in the log"
