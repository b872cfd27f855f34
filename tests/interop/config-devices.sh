#!/usr/bin/env bash
# How one device is reached is said of it, and else what is said of all holds: accounts, digests, the
# name of the initiator, TLS and connections of NBD servers. A reload opens anew what must be, and
# only that.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires certtool nbdkit nbdinfo

iqn=iqn.2026-11.test
port=$(free_port)
(umask 077 && echo first-secret-of-it >"$tmp/secret" && echo secret-of-target >"$tmp/target")
mkdir "$tmp/server"
certificate "$tmp/server/ca" none 'cn = "Test CA"' ca cert_signing_key
certificate "$tmp/server/server" "$tmp/server/ca" 'cn = "localhost"' 'dns_name = "localhost"' \
	tls_www_server encryption_key
client_dir "$tmp/client" "$tmp/server/ca" 'cn = "gateway"' tls_www_client

# The far ends.
cat >"$tmp/far.conf" <<-END
debug = iscsi.login
auth-group mutual {
	chap-mutual { user = us; secret-file = secret; mutual-user = them; mutual-secret-file = target }
	initiator-name = [$iqn:one, $iqn:other]
}
portal-group main { listen = 127.0.0.1:$port }
target $iqn:far { auth-group = mutual; lun 0 { device = mem:1M }; lun 1 { device = mem:2M } }
END
start_gateway -c "$tmp/far.conf"
far=$gateway_pid
start_nbdkit --tls=require --tls-certificates="$tmp/server" --tls-verify-peer memory 3M

account='chap-mutual { user = us; secret-file = secret; mutual-user = them; mutual-secret-file = target }'
write_conf() {	# DIGEST OF LUN 1, OUTAGE TIMEOUT OF ALL, TLS DIRECTORY
	cat >"$tmp/gw.conf" <<-END
	threads = 1
	initiator-name = $iqn:one
	outage-timeout = $2
	nbd = "unix:$tmp/gw.sock"
	device zero { uri = iscsi://127.0.0.1:$port/$iqn:far/0; $account }
	device one {
		uri = iscsi://us@127.0.0.1:$port/$iqn:far/1
		$account
		digest = $1
		initiator-name = $iqn:other
	}
	nbd-export zero { device = zero }
	nbd-export one { device = one }
	nbd-export two {
		device = "nbds+unix:///?socket=$peer_socket&tls-hostname=localhost"
		device-tls-certificates = $3
	}
	END
}
size() { nbdinfo --size "nbd+unix:///$1?socket=$tmp/gw.sock"; }
log=$tmp/gateway.1.log
sessions() { grep -c "iSCSI .*: $iqn:$1: normal session" "$log"; }

write_conf header 100 "$tmp/client"
start_gateway -c "$tmp/gw.conf"
[ "$(size zero) $(size one) $(size two)" = "1048576 2097152 3145728" ] || fail "the devices: $(size zero)"
[ "$(sessions one) $(sessions other)" = "1 1" ] || { cat "$log" >&2; fail "the initiators' names"; }

reload() { hang_up $gateway_pid "$tmp/gateway.2.log" 'gw.conf: reloaded'; }

# Time-outs change within the sessions; digests do not.
write_conf header 50 "$tmp/client"
reload
[ "$(sessions one) $(sessions other)" = "1 1" ] || fail "other time-outs have ended sessions"
write_conf both 50 "$tmp/client"
reload
[ "$(sessions one) $(sessions other)" = "1 2" ] || fail "another digest: sessions $(sessions one) $(sessions other)"
[ "$(size one)" = 2097152 ] || fail "the device that was opened anew"

# A secret that has changed is for whoever logs in from now on: so they do.
(umask 077 && echo second-secret-of-it >"$tmp/secret")
hang_up $far "$log" 'far.conf: reloaded'
reload
[ "$(size zero) $(size one)" = "1048576 2097152" ] || fail "with another secret"

# What does not open leaves the one before in place, and is told with its line.
mkdir "$tmp/empty"
write_conf both 50 "$tmp/empty"
hang_up $gateway_pid "$tmp/gateway.2.log" 'the configuration before stays in force'
grep -q "gw.conf:15: nbds+unix" "$tmp/gateway.2.log" || fail "the line is missing"
[ "$(size two)" = 3145728 ] || fail "the device before has gone"
! grep -q 'secret-of' "$log" "$tmp/gateway.2.log" || fail "a secret is in a log"
