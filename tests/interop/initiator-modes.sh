#!/usr/bin/env bash
# Every way in which our initiator logs in, finds its target, moves data and changes its path,
# against every target that there is here, as far as that one knows it; a table at the end.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires nbdcopy python3
size=2M
iqn=iqn.2026-11.test

random_image "$tmp/in.img" $size
secret() {	# NAME TEXT
	(umask 077 && echo "$2" >"$tmp/$1")
}
secret alice secret-of-alice1
secret target secret-of-target
secret wrong not-the-secret-1
as_alice="--chap-user=alice --chap-secret=$tmp/alice"
mutually="$as_alice --mutual-user=target --mutual-secret=$tmp/target"

# The table: a line per mode, a column per target.
modes=()
declare -A results
failures=0
note() {	# MODE PEER RESULT
	[ -n "${results[$1,tgtd]:-}${results[$1,istgt]:-}${results[$1,ours]:-}" ] || modes+=("$1")
	results[$1,$2]=$3
}
failed() {	# MODE PEER REASON
	echo "FAIL: $1, $2: $3" >&2
	cat "$tmp/said" >&2
	note "$1" "$2" FAILED
	failures=$((failures + 1))
}
print_table() {
	local mode peer
	printf '\n%-48s %-10s %-10s %-10s\n' 'mode (-: the target does not have it)' tgtd istgt ours
	for mode in "${modes[@]}"; do
		printf '%-48s' "$mode"
		for peer in tgtd istgt ours; do
			printf ' %-10s' "${results[$mode,$peer]:--}"
		done
		echo
	done
}

# What a client sees of it: an image is written and read back.
check='nbdcopy --flush "$image" "$nbd_uri" && nbdcopy "$nbd_uri" - | cmp - "$image"'
export image=$tmp/in.img
run_through() {	# URL OPTION...
	local url=$1
	shift
	rm -f "$tmp/modes.sock"
	timeout 60 "$gateway" --nbd="unix:$tmp/modes.sock" --threads=1 --run="$check" "$@" "$url" >"$tmp/said" 2>&1
}
works() {	# MODE PEER URL OPTION...
	local mode=$1 peer=$2
	shift 2
	if run_through "$@"; then note "$mode" "$peer" yes; else failed "$mode" "$peer" 'it should work'; fi
}
refused() {	# MODE PEER REASON URL OPTION...
	local mode=$1 peer=$2 reason=$3
	shift 3
	if run_through "$@"; then
		failed "$mode" "$peer" 'it should be refused'
	elif ! grep -qF "$reason" "$tmp/said"; then
		failed "$mode" "$peer" "not because of '$reason'"
	elif grep -qF -e secret-of -e not-the-secret "$tmp/said"; then
		failed "$mode" "$peer" 'a secret is in the log'
	else
		note "$mode" "$peer" refused
	fi
}
# As works, but the target may decline what is asked for; what it answered must be what we got.
negotiated() {	# MODE PEER KEY=VALUE[,KEY=VALUE] URL OPTION...
	local mode=$1 peer=$2 answers=$3 answer result=yes
	shift 3
	if ! run_through "$@" --debug=iscsi.login; then
		failed "$mode" "$peer" 'it should work'
		return
	fi
	for answer in ${answers//,/ }; do
		grep -qF "target says $answer" "$tmp/said" || result=declined
	done
	[ "$peer" != ours ] || [ $result = yes ] || { failed "$mode" "$peer" "$answers is declined"; return; }
	note "$mode" "$peer" $result
}

# Modes ----------------------------------------------------------------------

digest_mode() {	# PEER URL NAME HEADER DATA
	local key
	# tgtd takes what it is told to take, whatever comes first in an offer.
	[ "$1" != tgtd ] || for key in Header Data; do
		tgt --mode target --op update --tid 1 --name ${key}Digest \
			--value "$([ $key = Header ] && echo "$4" || echo "$5")"
	done
	negotiated "digest $3" "$1" "HeaderDigest=$4,DataDigest=$5" "$2" --digest="$3"
}

data_modes() {	# PEER URL
	local i r
	digest_mode "$1" "$2" header CRC32C None
	digest_mode "$1" "$2" data None CRC32C
	digest_mode "$1" "$2" both CRC32C CRC32C
	digest_mode "$1" "$2" none None None
	for i in yes no; do
		for r in yes no; do
			works "ImmediateData $i, InitialR2T $r" "$1" "$2" --immediate-data=$i --initial-r2t=$r
		done
	done
	works 'bursts of 4 KiB, segments of 512 bytes' "$1" "$2" --first-burst-length=4096 \
		--max-burst-length=4096 --max-recv-data-segment-length=512 --max-outstanding-r2t=1
	works 'one command at a time' "$1" "$2" --queue-depth=1
}

chap_modes() {	# PEER ONE-WAY-URL MUTUAL-URL
	works 'CHAP one-way, all algorithms offered' "$1" "$2" $as_alice
	works 'CHAP mutual, all algorithms offered' "$1" "$3" $mutually
	refused 'CHAP, no account' "$1" 'no CHAP user is configured' "$2"
	refused 'CHAP, wrong secret' "$1" 'login refused: 0201 authentication failure of user "alice"' "$2" \
		--chap-user=alice --chap-secret="$tmp/wrong"
	refused 'CHAP mutual, the target has another secret' "$1" 'the target does not know the secret of its own' \
		"$3" $as_alice --mutual-secret="$tmp/wrong"
	refused 'CHAP mutual, the target has another name' "$1" 'the target calls itself "target"' \
		"$3" $as_alice --mutual-secret="$tmp/target" --mutual-user=other
}

algorithm_modes() {	# PEER ONE-WAY-URL MUTUAL-URL ALGORITHM...
	local peer=$1 one=$2 both=$3 algorithm
	shift 3
	for algorithm; do
		works "CHAP one-way, $algorithm" "$peer" "$one" $as_alice --chap-algorithms=$algorithm
		works "CHAP mutual, $algorithm" "$peer" "$both" $mutually --chap-algorithms=$algorithm
	done
}

listed() {	# MODE PEER PORTAL TEXT OPTION...: text is among what is discovered there
	local mode=$1 peer=$2 portal=$3 text=$4
	shift 4
	# Its status tells of targets that do not let us in, of which there may be some.
	"$gateway" --discover="$portal" "$@" >"$tmp/said" 2>"$tmp/errors" || :
	if grep -qF -- "$text" "$tmp/said"; then
		note "$mode" "$peer" yes
	else
		failed "$mode" "$peer" "no '$text'"
	fi
}
discovery_modes() {	# PEER PORTAL TARGET LUN
	listed 'discovery' "$1" "$2" "$2"
	listed 'discovery with units' "$1" "$2" "$4    2 MiB" --luns $as_alice
	listed 'discovery in pieces of 512 bytes' "$1" "$2" "$3" --max-recv-data-segment-length=512
	"$gateway" --discover="$2" --luns --json $as_alice >"$tmp/said" 2>"$tmp/errors" || :
	if python3 - "$tmp/said" "$3" "$4" <<-'END'
		import json, sys
		targets = json.load(open(sys.argv[1]))["targets"]
		target, = [t for t in targets if t["name"] == sys.argv[2]]
		unit, = [u for u in target["luns"] if u["lun"] == int(sys.argv[3])]
		assert unit["size"] == 2 << 20 and unit["block_size"] == 512 and unit["serial"], unit
		assert target["portals"][0]["host"] == "127.0.0.1", target
	END
	then note 'discovery with units, JSON' "$1" yes; else failed 'discovery with units, JSON' "$1" 'not what there is'; fi
}

# A second portal of the same unit: a gateway that passes it through. It is killed under way.
failover_mode() {	# PEER URL
	local target lun url portal devices
	target=$(echo "$2" | cut -d/ -f4) lun=${2##*/}
	devices=$2
	[ "$lun" = 0 ] || devices="mem:1M $2"
	start_gateway -i 127.0.0.1:0 -t "$target" $devices
	portal=$(echo "$iscsi_uri" | cut -d/ -f3)
	url=iscsi://$portal,$(echo "$2" | cut -d/ -f3)/$target/$lun
	works 'two portals, the first is there' "$1" "$url"
	victim=$gateway_pid check="$check && kill -9 \$victim && $check" works 'two portals, the first dies under way' "$1" "$url"
	wait $gateway_pid 2>/dev/null || :
	works 'two portals, the first is not there' "$1" "$url"
}
export victim=

# tgtd -----------------------------------------------------------------------

start_tgtd $size
tgt() {
	tgtadm -C $tgt_number "$@"
}
tgt --mode account --op new --user alice --password secret-of-alice1
tgt --mode account --op new --user target --password secret-of-target
tgt_target() {	# TID NAME
	tgt --mode target --op new --tid $1 --targetname $iqn:$2
	truncate -s $size "$tmp/tgt.$2"
	tgt --mode logicalunit --op new --tid $1 --lun 1 --backing-store "$tmp/tgt.$2"
	tgt --mode target --op bind --tid $1 --initiator-address ALL
}
tgt_target 2 chap
tgt --mode account --op bind --tid 2 --user alice
tgt_target 3 mutual
tgt --mode account --op bind --tid 3 --user alice
tgt --mode account --op bind --tid 3 --user target --outgoing
tgt_chap=iscsi://$tgt_portal/$iqn:chap/1 tgt_mutual=iscsi://$tgt_portal/$iqn:mutual/1

works 'CHAP none' tgtd "$tgt_uri"
chap_modes tgtd $tgt_chap $tgt_mutual
algorithm_modes tgtd $tgt_chap $tgt_mutual md5
data_modes tgtd "$tgt_uri"
discovery_modes tgtd $tgt_portal $tgt_iqn 1
failover_mode tgtd "$tgt_uri"
# To a gateway of ours that serves a target of that name.
start_gateway -i 127.0.0.1:0 -t $iqn:moved mem:1M mem:$size
elsewhere=$(echo "$iscsi_uri" | cut -d/ -f3)
tgt_target 4 moved
tgt --mode target --op update --tid 4 --name RedirectAddress --value "${elsewhere%:*}"
tgt --mode target --op update --tid 4 --name RedirectPort --value "${elsewhere##*:}"
for reason in Temporary Permanent; do
	tgt --mode target --op update --tid 4 --name RedirectReason --value $reason
	works "redirect, ${reason,}" tgtd iscsi://$tgt_portal/$iqn:moved/1
done
tgt --mode account --op bind --user alice
listed 'discovery with CHAP' tgtd $tgt_portal $tgt_iqn $as_alice
kill_tgtd

# istgt ----------------------------------------------------------------------

start_istgt $size
istgt_chap=iscsi://$istgt_portal/$iqn:chap/0 istgt_mutual=iscsi://$istgt_portal/$iqn:mutual/0
works 'CHAP none' istgt "$istgt_uri"
chap_modes istgt $istgt_chap $istgt_mutual
algorithm_modes istgt $istgt_chap $istgt_mutual md5
data_modes istgt "$istgt_uri"
discovery_modes istgt $istgt_portal $iqn:istgt 0
failover_mode istgt "$istgt_uri"
start_istgt $size CHAP
listed 'discovery with CHAP' istgt $istgt_portal $iqn:istgt $as_alice
kill_istgt

# Ours -----------------------------------------------------------------------

port1=$(free_port) port2=$(free_port) port3=$(free_port) port4=$(free_port)
cat >"$tmp/own.conf" <<-END
auth-group one { chap { user = alice; secret-file = alice } }
auth-group both {
	chap-mutual { user = alice; secret-file = alice; mutual-user = target; mutual-secret-file = target }
}
portal-group here { listen = "127.0.0.1:$port1"; tag = 1; discovery-auth-group = no-authentication }
portal-group there { listen = "127.0.0.1:$port2"; tag = 2; discovery-auth-group = one }
portal-group moved { listen = "127.0.0.1:$port3"; tag = 3; redirect = "127.0.0.1:$port1" }
portal-group gone { listen = "127.0.0.1:$port4"; tag = 4; redirect-permanent = "127.0.0.1:$port1" }
device disk { uri = "mem:$size" }
target $iqn:own {
	auth-group = no-authentication
	portal-group = [here, there, moved, gone]
	lun 0 { device = disk }
}
target $iqn:chap { auth-group = one; portal-group = here; lun 0 { device = "mem:$size" } }
target $iqn:mutual { auth-group = both; portal-group = here; lun 0 { device = "mem:$size" } }
END
own=iscsi://127.0.0.1:$port1/$iqn
start_gateway --config="$tmp/own.conf"
works 'CHAP none' ours $own:own/0
chap_modes ours $own:chap/0 $own:mutual/0
algorithm_modes ours $own:chap/0 $own:mutual/0 md5 sha1 sha-256 sha3-256
data_modes ours $own:own/0
discovery_modes ours 127.0.0.1:$port1 $iqn:own 0
listed 'discovery with CHAP' ours 127.0.0.1:$port2 $iqn:own $as_alice
works 'redirect, temporary' ours iscsi://127.0.0.1:$port3/$iqn:own/0
works 'redirect, permanent' ours iscsi://127.0.0.1:$port4/$iqn:own/0
failover_mode ours $own:own/0

print_table
[ $failures = 0 ] || fail "$failures modes"
