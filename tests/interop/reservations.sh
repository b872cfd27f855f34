#!/usr/bin/env bash
# Reservations as libiscsi's tool sees them: one path and one initiator after the other, then
# two paths and two initiators at a time.
. "${srcdir:-$(dirname "$0")/..}/functions.sh"
requires iscsi-test-cu
start_gateway -i 127.0.0.1:0 -i 127.0.0.1:0 mem:64M
second_uri=$(sed -n 's|.*serving \(iscsi[^ ]*\)$|\1|p' "$tmp/gateway.1.log" | tail -n 1)
[ "$second_uri" != "$iscsi_uri" ] || fail "one portal instead of two"

for suite in PrinReadKeys PrinServiceactionRange PrinReportCapabilities ProutRegister \
	ProutReserve ProutClear ProutPreempt Reserve6; do
	iscsi_suite $suite "$iscsi_uri"
	iscsi_suite $suite "$iscsi_uri" "$second_uri"
done
