#!/usr/bin/env bash
# A target with secrets, as its initiators see it: images that qemu-img and our own initiator
# copy after CHAP in one direction and both, a target that has moved, and copies that must not
# reach beyond the LUNs of who asks for them.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires qemu-img nbdcopy python3
iqn=iqn.2026-11.test
one=127.0.0.1:$(free_port)
two=127.0.0.1:$(free_port)
for name in alice target wrong; do
	(umask 077 && printf '%s has a secret' $name >"$tmp/$name")
done

cat >"$tmp/gateway.conf" <<-END
threads = 2
auth-group oneway { chap { user = alice; secret-file = $tmp/alice } }
auth-group bothways {
	chap-mutual {
		user = alice; secret-file = $tmp/alice
		mutual-user = target; mutual-secret-file = $tmp/target
	}
}
auth-group all { auth-type = none }
portal-group one { listen = "$one"; tag = 1; discovery-auth-group = all }
portal-group two { listen = "$two"; tag = 2; discovery-auth-group = all }
target $iqn:oneway { auth-group = oneway; portal-group = one; lun 0 { device = mem:16M } }
target $iqn:bothways { auth-group = bothways; portal-group = two; lun 0 { device = mem:16M } }
target $iqn:moved { auth-group = all; portal-group = one; redirect = "$two" }
target $iqn:maps {
	auth-group = all
	portal-group = one
	lun 0 { device = mem:16M }
	lun 1 { device = mem:16M }
	map $iqn:bob { lun 0 { target-lun = 0 } }
	map $iqn:carol { lun 0 { target-lun = 0 }; lun 1 { target-lun = 1; read-only = yes } }
}
END
start_gateway -c "$tmp/gateway.conf"
log=$tmp/gateway.1.log
random_image "$tmp/image" 16M

qemu_img() {	# SECRET OPTION ARGUMENT...
	local secret=$1
	shift
	qemu-img "$1" --object "secret,id=s,file=$tmp/$secret" "${@:2}" \
		--target-image-opts driver=iscsi,transport=tcp,portal=$one,target=$iqn:oneway,lun=0,user=alice,password-secret=s,initiator-name=$iqn:qemu
}
qemu_img alice convert -n -f raw "$tmp/image"
! qemu_img wrong convert -n -f raw "$tmp/image" 2>/dev/null || fail "a wrong secret"
grep -q "$iqn:qemu: authentication failed: wrong secret of user \"alice\"" "$log" || fail "no reason"
qemu-img convert --object "secret,id=s,file=$tmp/alice" -O raw --image-opts \
	driver=iscsi,transport=tcp,portal=$one,target=$iqn:oneway,lun=0,user=alice,password-secret=s,initiator-name=$iqn:qemu \
	"$tmp/back"
cmp "$tmp/image" "$tmp/back"

# Our own initiator, which wants a proof of the target, too.
start_gateway -n "unix:$tmp/chain.sock" --chap-user=alice --chap-secret="$tmp/alice" \
	--mutual-secret="$tmp/target" "iscsi://$two/$iqn:bothways/0"
nbdcopy "$tmp/image" "nbd+unix:///?socket=$tmp/chain.sock"
nbdcopy "nbd+unix:///?socket=$tmp/chain.sock" "$tmp/back.2"
cmp "$tmp/image" "$tmp/back.2"
! "$gateway" -n "unix:$tmp/no.sock" --chap-user=alice --chap-secret="$tmp/alice" \
	--mutual-secret="$tmp/wrong" "iscsi://$two/$iqn:bothways/0" 2>"$tmp/no.log" ||
	fail "a target that does not know its secret is believed"

# Where it has moved to, there is no such target: but that is where the initiator looked.
! "$gateway" -n "unix:$tmp/no.sock" "iscsi://$one/$iqn:moved/0" 2>"$tmp/moved.log" || fail "no target"
grep -q 'login refused: 0101' "$log" && grep -q 'login refused: 0203' "$log" || fail "not followed"

python3 "$srcdir/interop/copy_reach.py" "iscsi://$one/$iqn:maps"

! grep -r 'has a secret' "$tmp"/*.log || fail "a secret is in a log"
