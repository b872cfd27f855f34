#!/usr/bin/env bash
# Wrong configuration files: each has its exact messages, with file and line.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
cd "$tmp"

check() {
	status=0
	timeout 20 "$gateway" --config=c.conf --check-config >said 2>&1 || status=$?
}

cases=0

# TEXT MESSAGE...: what --check-config says of it, all of it, each line after "c.conf:".
wrong() {
	printf '%b' "$1" >c.conf
	shift
	for message; do printf 'c.conf:%s\n' "$message"; done >want
	check
	[ $status = 2 ] && cmp -s said want || fail "exit status $status of:
$(cat -n c.conf)
said:
$(cat said)
expected:
$(cat want)"
	cases=$((cases + 1))
}

right() {
	printf '%b' "$1" >c.conf
	check
	[ $status = 0 ] && [ ! -s said ] || fail "exit status $status of:
$(cat -n c.conf)
said: $(cat said)"
	cases=$((cases + 1))
}

top='there are: device, auth-group, portal-group, target, nbd-export, nbd, read-only, threads'
reach='chap, chap-mutual, write-log, connections, device-tls-certificates, device-tls-psk, initiator-name, digest, chap-algorithms, discover-portals, login-timeout, outage-timeout, noop-interval, noop-timeout, abort-timeout, tmf-timeout, queue-depth, initial-r2t, immediate-data, first-burst-length, max-burst-length, max-recv-data-segment-length, max-outstanding-r2t, default-time2wait, default-time2retain'
device_keys="block-size, physical-block-size, serial, naa, shared, $reach"
group='portal-group pg { listen = 127.0.0.1:0 }\n'
target='target iqn.2026-11.test:t { '

# Syntax.
wrong 'threads' '1: "threads" has no value'
wrong 'threads =\n' '1: "threads" has no value'
wrong 'nbd = ":1\n' '1: the text that begins with " does not end on its line'
wrong '\ntarget iqn.2026-11.test:t {\nalias = x\n' "2: the block that begins here does not end with '}'"
wrong 'nbd = [":1",\n":2"\n' "1: the list that begins here does not end with ']'"
wrong 'nbd = [::1]:10809' '1: "nbd": something follows the list (a text with [ ] in it needs quotes)'
wrong 'nbd = ":1" ":2"' '1: "nbd": something follows the value (one word, or quoted; several are { ... })'
wrong '}' "1: expected a key, not '}'"
wrong '/* x\n' '1: the comment that begins here does not end'
wrong '.include "x"' '1: .include: macros are not read'
wrong 'nbd = "\\q"' '1: unknown escape \q'
wrong 'nbd = <<END\n:1\n' '1: the lines that begin here do not end with END'

# Keys, and their values.
printf 'no-such-key = 1\n' >c.conf
check
grep -q "^c.conf:1: unknown key \"no-such-key\"; $top" said || fail "an unknown key: $(cat said)"
wrong "$group$target"'portal-gruop = pg }' \
	'2: unknown key "portal-gruop" in target "iqn.2026-11.test:t": is portal-group meant?'
wrong "$group$target"'acl = pg }' \
	'2: unknown key "acl" in target "iqn.2026-11.test:t"; there are: alias, auth-group, lun, map, portal-group, offline, redirect, redirect-permanent'
wrong 'portal-group pg { listn = :0 }' '1: unknown key "listn" in portal-group "pg": is listen meant?'
wrong 'portal-group pg { ip = :0 }' \
	'1: unknown key "ip" in portal-group "pg"; there are: listen, discovery-auth-group, discovery-filter, tag, redirect, redirect-permanent'
wrong 'traget iqn.2026-11.test:t { }\nnbd-exprot e { }\nread_only = yes\nouttage-timeout = 3' \
	'1: unknown key "traget": is target meant?' '2: unknown key "nbd-exprot": is nbd-export meant?' \
	'3: unknown key "read_only": is read-only meant?' '4: unknown key "outtage-timeout": is outage-timeout meant?'
wrong 'device d { uri = mem:1M; Serial = 1 }' '1: unknown key "Serial" in device "d": is serial meant?'
wrong 'auth-group ag { x = y }' \
	'1: unknown key "x" in auth-group "ag"; there are: auth-type, chap, chap-mutual, initiator-name, initiator-portal'
wrong 'device d { uri = mem:1M; bs = 1 }' \
	"1: unknown key \"bs\" in device \"d\"; there are: uri, read-only, $device_keys"
wrong 'nbd-export e { device = mem:1M; x = y }' \
	"1: unknown key \"x\" in nbd-export \"e\"; there are: device, read-only, description, tls-only, listen, allow, allow-from, $device_keys"
wrong "$group$target"'lun 0 { device = mem:1M; x = y } }' \
	"2: unknown key \"x\" in lun \"0\"; there are: device, read-only, $device_keys"
wrong 'threads = 0' '1: threads = 0: not a number from 1 to 256'
wrong 'threads = { a = 1 }' '1: "threads" needs a value, not a block'
wrong 'threads = [2, 3]' '1: "threads" needs one value'
wrong 'threads = 2\nread-only = no\nthreads = 2' '3: "threads" is given twice, first in line 1'
wrong 'read-only = maybe' '1: read-only = maybe: neither yes nor no'
wrong 'nbd = localhost:http' '1: nbd = localhost:http: "http" is not a port from 0 to 65535'
wrong 'tls = sometimes' '1: tls = sometimes: not off, on or require'
wrong 'handshake-timeout = soon' '1: handshake-timeout = soon: not a number of seconds from 0 to 86400'
wrong 'handshake-timeout = -1' '1: handshake-timeout = -1: not a number of seconds from 0 to 86400'
wrong 'target-login-timeout = nan' \
	'1: target-login-timeout = nan: not a number of seconds from 0 to 86400'
wrong 'target-logout-timeout = 65536' \
	'1: target-logout-timeout = 65536: not a number of seconds from 1 to 65535'
wrong 'target-nop-interval = 1d' \
	'1: target-nop-interval = 1d: not a number of seconds from 0 to 86400'
wrong 'target-nop-timeout = 0' '1: target-nop-timeout = 0: not a number of seconds from 1 to 86400'
wrong 'target-queue-depth = 0' '1: target-queue-depth = 0: not a number from 1 to 4096'
wrong 'target-max-bytes = 64' '1: target-max-bytes = 64: not a size from 1M to 1G (for example 64M)'
wrong 'nbd-max-requests = 4097' '1: nbd-max-requests = 4097: not a number from 1 to 4096'
wrong 'nbd-max-requests = -1' '1: nbd-max-requests = -1: not a number from 1 to 4096'
wrong 'nbd-max-bytes = 2G' '1: nbd-max-bytes = 2G: not a size from 1M to 1G (for example 64M)'
wrong 'nbd-max-bytes = { }' '1: "nbd-max-bytes" needs a value, not a block'
wrong "tls = on\nnbd = :0\nnbd-export e { device = mem:1M }" \
	'1: --tls needs --tls-certificates=DIR or --tls-psk=FILE'
wrong "tls = on\ntls-psk = none.psk\nnbd = :0\nnbd-export e { device = mem:1M }" \
	'1: TLS: none.psk: No such file or directory'
wrong "$group$target"'alias = a\nalias = b }' '3: "alias" is given twice, first in line 2'
wrong "$group$target"'alias = [a] }' '2: "alias" needs one value'
wrong "$group$target"'offline = 2 }' '2: offline = 2: neither yes nor no'
wrong 'target {}' '1: "target" needs a name and a block: target NAME { ... }'
wrong 'target = x' '1: "target" needs a name and a block: target NAME { ... }'
wrong "$group$target"'lun 0 }' '2: "lun" needs a name and a block: lun NAME { ... }'
wrong 'auth-group ag { chap = x }' '1: "chap" needs a block: chap { ... }'
wrong 'portal-group pg { listen { a = 1 } }' '1: "listen" needs a value, not a block'

# What other configurations call it.
wrong 'lun disk { path /dev/sda }\ntimeout 10\nmaxproc 30\nisns-server 192.0.2.1\niscsi = :3260' \
	'1: "lun": give device NAME { uri = DEVICE }, and in a target lun NUMBER { device = NAME }' \
	'2: "timeout": give target-login-timeout = SECONDS' \
	'3: "maxproc": there is one process for all: leave it out' \
	'4: "isns-server": there is no iSNS here: initiators ask the portals' \
	'5: "iscsi": give portal-group NAME { listen = ADDR }'
wrong "$group$target"'auth-type = none\nchap { user = u }\nbacking-store /disk\ninitiator-address ALL\nincominguser u }' \
	'2: "auth-type": give it in auth-group NAME { ... }, and auth-group = NAME here' \
	'3: "chap": give it in auth-group NAME { ... }, and auth-group = NAME here' \
	'4: "backing-store": give lun NUMBER { device = file:PATH }' \
	'5: "initiator-address": give auth-group = NAME here, and initiator-portal in that' \
	'6: "incominguser": give auth-group = NAME here, and chap or chap-mutual { ... } in that'
wrong "$group$target"'lun 0 { device = mem:1M\nsize = 1G\npath = /x\nbackend = block\ndevice-id = x\nblocksize = 512 } }' \
	'3: "size": it is that of the device' '4: "path": give device = file:PATH' \
	'5: "backend": give device = file:PATH or mem:SIZE' '6: "device-id": give naa, or serial' \
	'7: "blocksize": give block-size'

# How a device is reached.
iscsi='device d { uri = iscsi://h/iqn.2026-11.test:x/0\n'
wrong "$iscsi"'digest = some }' '2: digest = some: not none, header, data or both'
wrong "$iscsi"'digest = both\ndigest = none }' '3: "digest" is given twice, first in line 2'
wrong "$iscsi"'connections = 2 }' '2: connections = 2: that is for nbd:// devices'
wrong "$iscsi"'outage-timeout = -2 }' '2: outage-timeout = -2: not a number of seconds from -1 to 86400'
wrong "$iscsi"'digest { } }' '2: "digest" needs one value'
wrong 'device d { uri = nbd://h\nqueue-depth = 2\nconnections = 0\nwrite-log = 1\nwrite-log = x }' \
	'2: queue-depth = 2: that is for iscsi:// devices' '3: connections = 0: not a number from 1 to 256' \
	'5: "write-log" is given twice, first in line 4'
wrong 'device d { uri = mem:1M\nwrite-log = 1M\nchap { user = u } }' \
	'2: write-log = 1M: that is for iscsi:// and nbd:// devices' '3: chap: that is for iscsi:// devices'
wrong "$iscsi"'chap { user = u } }' '2: chap has no secret-file'
wrong "$iscsi"'chap-user = u }' '2: "chap-user": give chap { user = NAME; secret-file = FILE }'
wrong "$iscsi"'}\nnbd-export e { device = iscsi://h/iqn.2026-11.test:x/1; digest = both }\nnbd-export f { device = iscsi://h/iqn.2026-11.test:x/1; digest = none }' \
	'4: digest = none: the device is described in line 3, and that belongs there'

# Devices.
wrong "$group$target"'lun 0 { } }' '2: lun 0 of target "iqn.2026-11.test:t" has no device'
wrong "$group$target"'lun 0 { device = none } }' \
	"2: device = none: there is no device of this name, and a URI has a ':'"
wrong "$group$target"'lun 0 { device = mem:lots } }' \
	'2: mem:lots: "lots" is not a size (for example 64M, 10G, 1T)'
wrong 'device d { uri = http://x }' \
	'1: http://x: not a DEVICE: expected iscsi://, nbd://, nbds://, nbd+unix://, nbds+unix://, file:PATH or mem:SIZE'
wrong 'device d { uri = iscsi://h/iqn.2026-11.test:x }' \
	'1: iscsi://h/iqn.2026-11.test:x: the LUN is missing: iscsi://host[:port]/target-iqn/lun'
wrong 'device d { read-only = yes }' '1: device "d" has no uri'
wrong 'device a:b { uri = mem:1M }' "1: device \"a:b\": a name without ':' is needed, for it is no URI"
wrong 'device d { uri = mem:1M }\ndevice d { uri = mem:2M }' '2: device "d" is described in line 1, too'
wrong 'device d { uri = mem:1M; block-size = 520 }' '1: block-size = 520: neither 512 nor 4096'
wrong 'device d { uri = mem:1M; block-size = 4k }' '1: block-size = 4k: not a number from 512 to 4096'
wrong 'device d { uri = mem:1M; physical-block-size = 1000 }' \
	'1: physical-block-size = 1000: not a power of 2, or less than a logical block (512)'
wrong 'device d { uri = mem:1M; block-size = 4096; physical-block-size = 512 }' \
	'1: physical-block-size = 512: not a power of 2, or less than a logical block (4096)'
wrong "$group$target"'lun 0 { device = mem:1M; option { pblocksize = 4096 } } }' \
	'2: "option": give physical-block-size, serial or naa'
wrong 'device d { uri = mem:1M; naa = 6001405000000000 }' \
	'1: naa = 6001405000000000: not 16 hexadecimal digits that begin with 2, 3 or 5'
wrong 'device d { uri = mem:1M; serial = "" }' '1: serial = : not 1 to 36 ASCII characters'
wrong "device d { uri = mem:1M }\n$group$target"'lun 0 { device = d; block-size = 4096 } }' \
	'3: block-size = 4096: the device is described in line 1, and that belongs there'

# Targets, LUNs, maps.
wrong "${group}target disk { alias = a }" \
	'2: target "disk": not an iSCSI name (iqn.YYYY-MM.reversed.domain:name, eui. or naa.)'
wrong "${group}target iqn.2026-11.test:a_disk { alias = a }" \
	"2: target \"iqn.2026-11.test:a_disk\": an iSCSI name has letters in lower case, digits, '-', '.' and ':'"
wrong "${group}target eui.0123 { alias = a }" '2: target "eui.0123": behind eui. there are 16 hexadecimal digits'
wrong "${group}target naa.0123 { alias = a }" \
	'2: target "naa.0123": behind naa. there are 16 or 32 hexadecimal digits'
long=iqn.2026-11.test:$(printf '%0210d' 0)
wrong "auth-group ag { auth-type = none; initiator-name = $long }" \
	"1: initiator-name = $long: an iSCSI name has no more than 223 bytes"
wrong "$target"'alias = a }' '1: target "iqn.2026-11.test:t" has no portal-group'
wrong "$group$target"'portal-group = other }' \
	'2: portal-group = other: there is no portal-group of this name'
wrong "$group$target"'portal-group { auth-group = default } }' '2: portal-group has no name'
wrong "$group$target"'auth-group = other }' '2: auth-group = other: there is no auth-group of this name'
wrong "$group$target"'alias = a }\n'"$target"'alias = b }' \
	'3: target "iqn.2026-11.test:t": there is a target of this name'
wrong "$group$target"'lun 0 { device = mem:1M }\nlun 0 { device = mem:1M } }' \
	'3: lun 0: the LUN is taken'
wrong "device d { uri = mem:1M }\n$group$target"'lun 0 { device = d }\nlun 1 { device = d } }' \
	'4: lun 1: the device has another LUN of this target'
wrong "$group$target"'portal-group = [pg, pg] }' \
	'2: portal-group = pg: the target is in this portal group already'
wrong "$group$target"'alias = "" }' '2: alias = : an alias is 1 to 255 bytes long'
wrong "$group$target"'redirect = "" }' '2: redirect = : not an address to redirect to: host[:port]'
wrong "$group$target"'redirect = ::1 }' '2: redirect = ::1: the host is missing'
wrong "$group$target"'redirect = "a b" }' '2: redirect = a b: the host has a malformed character'
wrong "$group$target"'redirect = a\nredirect-permanent = "[::1]:3260" }' \
	'3: redirect and redirect-permanent: one is enough'
wrong "$group$target"'lun 16384 { device = mem:1M } }' '2: lun = 16384: not a number from 0 to 16383'
wrong "$group$target"'lun 0 { path = /x; device = mem:1M } }' '2: "path": give device = file:PATH'
wrong "$group$target"'lun 0 { blocksize = 512; device = mem:1M } }' '2: "blocksize": give block-size'
wrong "$group$target"'map esx { lun 0 { } } }' \
	'2: map "esx": not an iSCSI name (iqn.YYYY-MM.reversed.domain:name, eui. or naa.)'
wrong "$group$target"'map iqn.2026-11.test:i { lun 3 { read-only = yes } } }' \
	'2: lun 3: the target has no lun 3'
wrong "$group$target"'map iqn.2026-11.test:i { lun 0 { target-lun = x } } }' \
	'2: target-lun = x: not a number from 0 to 16383'

# Portal groups.
wrong 'portal-group pg { listen = unix:/x }' '1: listen = unix:/x: iSCSI runs over TCP only'
wrong 'portal-group pg { listen = :0; tag = 0 }' '1: tag = 0: not a number from 1 to 65535'
wrong 'portal-group a { listen = :0; tag = 1 }\nportal-group b { listen = :0 }' \
	'2: portal-group "b" has no tag: where there are several, each needs its tag = NUMBER, that it keeps'
wrong 'portal-group a { listen = :0; tag = 1 }\nportal-group b { listen = :0; tag = 1 }' \
	'2: portal-group "b": there is a portal group with this tag'
wrong 'portal-group a { discovery-auth-group = none }' \
	'1: discovery-auth-group = none: there is no auth-group of this name'
wrong 'portal-group a { discovery-filter = some }' \
	'1: discovery-filter = some: not none, portal, portal-name or portal-name-auth'

# Auth groups.
printf 'secret-of-12-bytes\n' >secret
printf 'another-secret-of-it\n' >another
chmod 600 secret another
wrong 'auth-group ag { auth-type = kerberos }' \
	'1: auth-type = kerberos: not none, deny, chap or chap-mutual'
wrong 'auth-group ag { auth-type = chap }' '1: auth-type = chap, but auth-group "ag" has no chap { ... }'
wrong 'auth-group ag { auth-type = none; chap { user = u; secret-file = secret } }' \
	'1: auth-type = none, but auth-group "ag" has users'
wrong 'auth-group ag { initiator-name = iqn.2026-11.test:i }' \
	'1: auth-group "ag" lets nobody in: give chap { ... }, or auth-type = none for no authentication'
wrong 'auth-group ag { auth-type = none; initiator-name = me }' \
	'1: initiator-name = me: not an iSCSI name (iqn.YYYY-MM.reversed.domain:name, eui. or naa.)'
wrong 'auth-group ag { auth-type = none; initiator-portal = 192.0.2.0/33 }' \
	'1: initiator-portal = 192.0.2.0/33: not an address, nor ADDRESS/BITS'
hint='secrets do not stand in this file: give secret-file = FILE (of mode 0600), or secret-file = credential:NAME'
wrong 'auth-group ag {\nchap { user = u\nsecret = tell-nobody }\n}' "2: chap has no secret-file" "3: \"secret\": $hint"
! grep -q tell-nobody said || fail "a secret is repeated"
wrong 'auth-group ag { chap { secret-file = secret } }' '1: chap has no user'
wrong 'auth-group ag { chap { user = u; secret-file = none } }' \
	'1: secret-file: none: No such file or directory'
wrong 'auth-group ag { chap-mutual { user = u; secret-file = secret } }' \
	'1: chap-mutual has no mutual-user' '1: chap-mutual has no mutual-secret-file'
wrong 'auth-group ag { chap-mutual {\nuser = u; secret-file = secret\nmutual-user = g; mutual-secret-file = secret } }' \
	'1: user "u": the same secret is used in both directions'
wrong 'auth-group ag { chap { user = u; secret-file = secret }\nchap { user = u; secret-file = another } }' \
	'2: user "u": there is a user of this name in the auth group'
wrong 'auth-group ag { }\nauth-group ag { auth-type = none }' \
	'2: auth-group "ag": there is an auth group of this name'
wrong 'auth-group no-authentication { auth-type = deny }' \
	'1: auth-group "no-authentication": there is an auth group of this name'

# Accounts of devices.
wrong 'device d { uri = iscsi://bob@h/iqn.2026-11.test:x/0\nchap { user = alice; secret-file = secret } }' \
	'2: chap: the URI of the device names another user'
wrong "$iscsi"'chap { user = u; secret-file = secret }\nchap-mutual { user = u; secret-file = secret; mutual-user = t; mutual-secret-file = another } }' \
	'3: chap and chap-mutual: one account is enough'
wrong "$iscsi"'chap-mutual { user = u; secret-file = secret; mutual-user = t; mutual-secret-file = secret } }' \
	'2: chap-mutual: the same secret is used in both directions'

# What is found by a portal group.
wrong "$group$target"'lun 0 { device = mem:1M }\nportal-group {\nname = pg\nlun 1 { target-lun = 4 }\nlun 0 { size = 1 } } }' \
	'5: lun 1: the target has no lun 4' \
	'6: unknown key "size" in lun; there are: target-lun, read-only'
wrong "$group$target"'lun 0 { device = mem:1M }\nportal-group { name = none; lun 1 { target-lun = 0 } } }' \
	'3: portal-group = none: there is no portal-group of this name'

# NBD exports.
wrong 'nbd-export e { read-only = yes }' '1: nbd-export "e" has no device'
wrong 'nbd-export e { device = mem:1M }\nnbd-export e { device = mem:1M }' \
	'2: nbd-export "e": there are two of this name'
wrong 'nbd-export e { device = mem:1M; description = "\xff" }' \
	'1: nbd-export "e": the description is not UTF-8'
wrong 'nbd-export e { device = mem:1M; tls-only = yes }' '1: "tls-only" needs tls = on'
wrong 'nbd-export e { device = mem:1M; allow = CN=x }' '1: "allow" needs tls-verify-peer = yes'

wrong 'nbd-export e { device = mem:1M; listen = localhost:http }' \
	'1: listen = localhost:http: "http" is not a port from 0 to 65535'
wrong 'nbd = ":10809"\nnbd-export e { device = mem:1M; listen = ":10809" }\nnbd-export f { device = mem:1M; listen = [":10809",\n":10809"] }\nportal-group pg { listen = ":10809" }' \
	'4: :10809: line 3 listens there, too' '5: :10809: line 1 listens there, too'
wrong 'nbd-export e { device = mem:1M; allow-from = [127.0.0.1, here] }' \
	'1: allow-from = here: not an address, nor ADDRESS/BITS'

# All that is wrong is told, from the top.
wrong "threads = 0\n${target}auth-group = a }\nnbd-export e { }\nauth-group b { auth-type = c }\n" \
	'1: threads = 0: not a number from 1 to 256' \
	'2: auth-group = a: there is no auth-group of this name' \
	'2: target "iqn.2026-11.test:t" has no portal-group' \
	'3: nbd-export "e" has no device' \
	'4: auth-type = c: not none, deny, chap or chap-mutual'

# What no line is to blame for.
whole() {
	printf '%b' "$1" >c.conf
	check
	[ $status = 2 ] && [ "$(cat said)" = "nbd-iscsi-gateway: $2" ] || fail "says: $(cat said)"
	cases=$((cases + 1))
}
whole '# nothing\n' 'c.conf: nothing to serve: no target and no nbd-export'
whole 'nbd-export e { device = mem:1M }' \
	'c.conf: nothing to listen on: no nbd = ADDR, and no portal-group with listen = ADDR'
rm c.conf
check
[ $status = 2 ] && [ "$(cat said)" = "nbd-iscsi-gateway: c.conf: No such file or directory" ] ||
	fail "no file: $(cat said)"

# What is right is right, in each form; and in JSON.
right "${group}target IQN.2026-11.Test:T { lun 0 { device = mem:1M } }"
right "nbd = :0\nnbd-export e { device = mem:1M }"
right "\xef\xbb\xbfnbd = :0\nnbd-export e { device = mem:1M }"	# with a byte order mark
right "device d { uri = mem:1M; naa = 0x50015178f369f092 }\nnbd = :0\nnbd-export e { device = d }"
right "nbd = :0\nnbd-export e { device = mem:1M; read-only = Yes }\nimmediate-data = true\ninitial-r2t = Off"
right "${group}auth-group ag { chap { user = u; secret-file = secret } }\n${target}auth-group = ag; lun 0 { device = mem:1M } }"
right '{"nbd": [":0"], "nbd-export": {"e": {"device": "mem:1M", "read-only": true}}}'
right '{"nbd": [":0"], "nbd-export": [{"e": {"device": "mem:1M"}}, {"f": {"device": "mem:1M"}}]}'
right "device d { uri = file:/nowhere/x }\n$group$target"'lun 0 { device = d } }\nnbd-export e { device = d }'

# The example that is installed.
mkdir secrets
install -m 600 secret secrets/esx
install -m 600 another secrets/gateway
cp "$abs_top_srcdir/gateway/nbd-iscsi-gateway.conf.example" c.conf
check
[ $status = 0 ] && [ ! -s said ] || fail "the example: $(cat said)"

# --config and the rest of the command line.
expect() {
	status=0
	"$gateway" "${@:2}" >said 2>&1 || status=$?
	[ $status = 2 ] && [ "$(cat said)" = "nbd-iscsi-gateway: $1" ] || fail "${*:2}: $(cat said)"
}
expect "--check-config needs --config=FILE" --check-config -n :0 mem:1M
expect "--iscsi: with --config, that is said in the file" -c c.conf -i :0
expect "--target: with --config, that is said in the file" -c c.conf -t iqn.2026-11.test:t
expect "mem:1M: with --config, devices are named in the file" -c c.conf mem:1M
echo "$cases files"

# The manual names every key: the page of the file those of sections, the program's own those that
# are options.
pod=$abs_top_srcdir/gateway/nbd-iscsi-gateway.conf.pod
"$gateway" --help-all >help
for section in 'auth-group a { ? = 1 }' 'portal-group a { ? = 1 }' 'device a { uri = mem:1M; ? = 1 }' \
		'target iqn.2026-11.test:a { ? = 1 }' 'nbd-export a { device = mem:1M; ? = 1 }'; do
	printf '%s\n' "$section" >c.conf
	check
	keys=$(sed -n '1s/.*unknown key "?".*; there are: //p' said | tr -d ,)
	[ -n "$keys" ] || fail "no keys of $section: $(cat said)"
	for key in $keys; do
		grep -q "^=item .*C<$key[ >]" "$pod" || grep -q -- " --$key\(=.*\)\{0,1\}$\| --$key[= ]" help ||
			fail "no manual names the key $key of $section"
	done
done
