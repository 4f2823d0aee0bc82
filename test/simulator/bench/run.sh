#!/bin/sh
# bench/run.sh [PEOPLE]: pages a second of the simulator on one core.  The
# server is bound to one processor and the client to another, where there are two.
set -eu
cd "$(dirname "$0")/.."
people=${1:-100000}
work=$(mktemp -d)
trap 'kill "$(cat "$work/pid")" 2>/dev/null || true; rm -rf "$work"' EXIT
taskset -c 0 ./pco_simulator --port 0 --port-file "$work/port" --pid-file "$work/pid" \
	--rate-limit 0 --people "$people" --die-with-parent &
while [ ! -s "$work/port" ]; do sleep 0.05; done
port=$(cat "$work/port")
other=$(( $(nproc) > 1 ? 1 : 0 ))
page() { curl -fsS -o /dev/null -w '%{time_total} s\n' -u org1-client:org1-secret \
	"http://127.0.0.1:$port/people/v2/people?per_page=100&order=updated_at"; }
printf 'generating and first sort of %s people: ' "$people"; page
for connections in 1 16 64; do
	printf '%s connections: ' "$connections"
	taskset -c "$other" bench/pages "$port" "$(cat "$work/pid")" "$connections" 3 "$people"
done
printf '16 connections, an update after every 5 pages: '
taskset -c "$other" bench/pages "$port" "$(cat "$work/pid")" 16 3 "$people" 5
printf 'resident memory: '
grep VmRSS "/proc/$(cat "$work/pid")/status"
