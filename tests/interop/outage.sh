# Sourced by outage-*.sh: two models of a client at work on an export each, while a test does
# its worst to whatever is behind.
#
#	start_clients MODEL-URI FIO-URI	begin; both run again and again until stop_clients
#	they_work PID			wait until either has got through once more; PID serves them
#	stop_clients			neither may have seen an error, or wrong data
#	idle_cpu PID SECONDS		it takes less than a percent of a core, over so many seconds or four
#				times as many

requires fio qemu-io nbdinfo
clients=

again_and_again() {	# NAME COMMAND...
	local name=$1
	shift
	until [ -e "$tmp/stop" ]; do
		"$@" >"$tmp/$name.log" 2>&1 || { mv "$tmp/$name.log" "$tmp/$name.failed.log"; : >"$tmp/failed"; return 1; }
		echo >>"$tmp/$name.runs"
	done
}

start_clients() {
	model_uri=$1 fio_uri=$2
	rm -f "$tmp/stop" "$tmp/failed" "$tmp"/*.runs
	again_and_again model "$nbd_model" -c 4 -d 16 -n ${RUN:-3000} "$1" &
	clients=$!
	again_and_again fio fio --name=verify --directory="$tmp" --ioengine=nbd --uri="$2" --rw=randwrite \
		--bsrange=4k-64k --size=16m --iodepth=16 --verify=crc32c --verify_fatal=1 --do_verify=1 \
		--fsync=64 --verify_state_save=0 &
	clients="$clients $!"
	for client in $clients; do cleanup_fn "kill $client 2>/dev/null || :"; done
}

runs() {
	cat "$tmp/model.runs" "$tmp/fio.runs" 2>/dev/null | wc -l
}

they_work() {
	local before tries=3000
	before=$(runs)
	until [ "$(runs)" -gt "$before" ]; do
		[ ! -e "$tmp/failed" ] || fail "a client has failed"
		kill -0 "$1" || fail "the server is gone"
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "no progress within 150 s"
		sleep 0.05
	done
}

stop_clients() {
	: >"$tmp/stop"
	wait $clients || fail "a client has failed"
	[ ! -e "$tmp/failed" ] || fail "a client has failed"
	echo "$*: model $(wc -l <"$tmp/model.runs") runs, fio $(wc -l <"$tmp/fio.runs") runs, no error"
}

# What was under way may take some of these times yet: that is work. Waiting that is busy does not end.
# (There is no moment to wait for: on a slow machine some timer of the many is always due.)
idle_cpu() {
	local before began
	for _ in 1 2 3 4; do
		before=$(cpu_ns $1) began=$EPOCHREALTIME
		sleep $2
		cpu=$(awk "BEGIN { print ($(cpu_ns $1) - $before) / 1e7 / ($EPOCHREALTIME - $began) }")
		echo "processor time while nothing is there: $cpu % of a core, over $2 s"
		awk "BEGIN { exit !($cpu < 1) }" && return
	done
	fail "it is busy waiting"
}

cpu_ns() {	# PID: of all its threads. Clock ticks would be a third of what is allowed over 3 s.
	cat /proc/$1/task/*/schedstat | awk '{ ns += $1 } END { printf "%.0f", ns }'
}

start_proxy() {	# TO-PORT CUTS: sets proxy_port, proxy_pid
	proxy_port=$(free_port)
	rm -f "$tmp/proxy.pid"
	python3 "$srcdir/tools/cut_proxy.py" "$proxy_port" "$1" "$tmp/proxy.pid" "$tmp/cuts" "$2" 3000000 &
	proxy_pid=$!
	cleanup_fn "kill $proxy_pid 2>/dev/null || :"
	wait_for $proxy_pid test -s "$tmp/proxy.pid"
}

wait_for_cuts() {	# COUNT PID
	until [ "$(cat "$tmp/cuts")" -ge "$1" ]; do
		[ ! -e "$tmp/failed" ] || fail "a client has failed"
		kill -0 "$2" || fail "the server is gone"
		sleep 0.2
	done
}
