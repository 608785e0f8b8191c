#!/bin/bash
# namespaces.sh - trit train on several "machines" of one: network namespaces joined by virtual cables of a rate of your
# choice, and Open MPI between them by TCP as it would be by Ethernet. Needs root, iproute2, Open MPI.
#
#     bench/namespaces.sh [-n MACHINES] [-r RATE] TRIT ARGUMENTS...
#     bench/namespaces.sh -n 4 -r 1gbit build/release/trit train --data book.txt --out run -t 1
#
# Each machine has a name (trit0, trit1, ...), an address (10.77.0.1, ...) and a network of its own; mpirun starts its
# daemons with `ip netns exec` where ssh would be. RATE is that of each machine's outgoing line (tc). They share
# files and processors, so this measures exchange, not computing.
#
# SPDX-License-Identifier: MIT
set -eu
machines=2 rate=
while getopts n:r: option; do
	case $option in
	n) machines=$OPTARG ;;
	r) rate=$OPTARG ;;
	*) sed -n '2,8p' "$0" >&2 && exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { sed -n '5,6p' "$0" >&2 && exit 2; }
[ "$(id -u)" = 0 ] || { echo "namespaces.sh: making networks needs root" >&2 && exit 77; }
for command in ip mpirun; do
	command -v $command >/dev/null || { echo "namespaces.sh: $command is missing" >&2 && exit 77; }
done

work=$(mktemp -d)
clean_up()
{
	for i in $(seq 0 $((machines - 1))); do
		ip netns del trit$i 2>/dev/null || true
	done
	ip netns del tritswitch 2>/dev/null || true
	rm -rf "$work"
}
trap clean_up EXIT

# The switch: a bridge in a namespace of its own, so that nothing of this machine's network is touched.
ip netns add tritswitch || { echo "namespaces.sh: this system does not allow network namespaces" >&2 && exit 77; }
ip -n tritswitch link add switch type bridge
ip -n tritswitch link set switch up
for i in $(seq 0 $((machines - 1))); do
	ip netns add trit$i
	ip -n trit$i link add eth0 type veth peer name port$i netns tritswitch
	ip -n tritswitch link set port$i master switch up
	ip -n trit$i addr add 10.77.0.$((i + 1))/24 dev eth0
	ip -n trit$i link set eth0 up
	ip -n trit$i link set lo up
	[ -z "$rate" ] || tc -n trit$i qdisc add dev eth0 root tbf rate "$rate" burst 256kb latency 50ms
	echo "10.77.0.$((i + 1)) slots=1" >>"$work/hosts"
done

# What mpirun calls instead of ssh: ADDRESS COMMAND...
cat >"$work/agent" <<'END'
#!/bin/sh
name=trit$((${1##*.} - 1))
shift
exec ip netns exec "$name" unshare --uts sh -c 'hostname "$0" && eval "$*"' "$name" "$@"
END
chmod +x "$work/agent"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
status=0
ip netns exec trit0 unshare --uts sh -c 'hostname trit0 && exec "$@"' sh mpirun -np "$machines" \
	--hostfile "$work/hosts" --map-by node --bind-to none --mca plm_rsh_agent "$work/agent" --mca btl self,tcp \
	--mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 "$@" || status=$?
exit $status
