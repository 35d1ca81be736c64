#!/bin/sh
# The guest is the node: its root cgroup, its own network namespace and its uplink are served, as on a real machine. Pods of
# this node live in one namespace behind a veth, the client in another; everything else (node-b with its pods, the outside client) behind the uplink.
# busybox sh prefers its own applets of these names
IP=/usr/sbin/ip
P=/portolan
PEER=$P/build/peer
failed=0
ok() { if [ "$1" = 0 ]; then echo "ok - $2"; else echo "not ok - $2"; failed=1; fi; }
expect() { # NAME COMMAND...: the command succeeds
	name=$1; shift
	"$@" > /tmp/out 2>&1; code=$?
	[ $code = 0 ] || sed 's/^/# /' /tmp/out | head -8
	ok $code "$name"
}
inside() { ns=$1; shift; /usr/bin/nsenter --net=/run/netns/$ns "$@"; }

mkdir -p /run/netns
$IP link set lo up
for ns in pods client out; do
	$IP netns add $ns
	$IP -n $ns link set lo up
done
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
for scope in all default; do echo 0 > /proc/sys/net/ipv6/conf/$scope/accept_dad; done

$IP link add vpods type veth peer name eth0 netns pods
$IP link set vpods up
$IP -n pods link set eth0 up
$IP addr add 10.244.0.1/24 dev vpods
$IP addr add fd00:10:244::1/64 dev vpods nodad
for pod in 11 12 21 31 41 53 61; do
	$IP -n pods addr add 10.244.0.$pod/24 dev eth0
	$IP -n pods addr add fd00:10:244::$pod/64 dev eth0 nodad
done
$IP -n pods route add default via 10.244.0.1
$IP -n pods route add default via fd00:10:244::1

$IP link add vclient type veth peer name eth0 netns client
$IP link set vclient up
$IP -n client link set eth0 up
$IP addr add 10.244.2.1/24 dev vclient
$IP addr add fd00:10:244:2::1/64 dev vclient nodad
$IP -n client addr add 10.244.2.250/24 dev eth0
$IP -n client addr add fd00:10:244:2::250/64 dev eth0 nodad
$IP -n client route add default via 10.244.2.1
$IP -n client route add default via fd00:10:244:2::1

$IP link add eth0 type veth peer name eth0 netns out
$IP link set eth0 up
$IP -n out link set eth0 up
$IP addr add 192.0.2.10/24 dev eth0
$IP addr add 2001:db8:1::10/64 dev eth0 nodad
for host in 11 100; do
	$IP -n out addr add 192.0.2.$host/24 dev eth0
	$IP -n out addr add 2001:db8:1::$host/64 dev eth0 nodad
done
for pod in 11 21 31 41 53 61 71; do
	$IP -n out addr add 10.244.1.$pod/32 dev lo
	$IP -n out addr add fd00:10:244:1::$pod/128 dev lo nodad
done
$IP route add 10.244.1.0/24 via 192.0.2.11
$IP route add fd00:10:244:1::/64 via 2001:db8:1::11
$IP -n out route add 10.244.0.0/24 via 192.0.2.10
$IP -n out route add 10.244.2.0/24 via 192.0.2.10
$IP -n out route add fd00:10:244:2::/64 via 2001:db8:1::10
$IP -n out route add fd00:10:244::/64 via 2001:db8:1::10
$IP -n out route add 203.0.113.0/24 via 192.0.2.10
$IP -n out route add 2001:db8:203::/64 via 2001:db8:1::10

inside pods $PEER serve --name here --tcp 8080,5353 --udp 5353 &
inside out $PEER serve --name there --tcp 8080,5353 --udp 5353 &

export NODE_OPTIONS=
PORTOLAN="node --max-semi-space-size=1 $P/dist/main.js"
agent() {
	$PORTOLAN run --folder $P/examples/shop --node-name node-a --cluster-cidr 10.244.0.0/16,fd00:10:244::/48 \
		--state-file /tmp/state.json > /tmp/agent.log 2>&1 &
	agent=$!
	for i in $(seq 300); do
		grep -q 'socket hook is' /tmp/agent.log && return 0
		kill -0 $agent 2>/dev/null || break
		sleep 0.2
	done
	sed 's/^/# /' /tmp/agent.log
	return 1
}

echo "# $(cat /proc/sys/kernel/osrelease)"
agent; ok $? 'the agent serves the root cgroup and the uplink'
grep -q 'is effective: a real connect' /tmp/agent.log; ok $? 'the socket hook at the root cgroup is effective'
if [ "$1" = clsact ] || grep -q 'tcx needs Linux 6.6; using clsact' /tmp/agent.log; then echo "# attached: clsact"; else echo "# attached: tcx"; fi

ask="--count 12 --timeout 5000"
expect 'host process -> ClusterIP' $PEER ask tcp 10.96.0.10 80 $ask
expect 'host process -> ClusterIP, IPv6' $PEER ask tcp fd00:10:96::10 80 $ask
expect 'host process -> localhost node port' $PEER ask tcp 127.0.0.1 30080 $ask
expect 'host process -> ClusterIP, UDP' $PEER ask udp 10.96.0.53 53 $ask
expect 'pod -> ClusterIP' inside client $PEER ask tcp 10.96.0.10 80 $ask
expect 'pod -> ClusterIP, IPv6 UDP, connected' inside client $PEER ask udp fd00:10:96::53 53 --connected $ask
kill -9 $agent; wait $agent 2>/dev/null
expect 'the agent is dead -> ClusterIP is served' $PEER ask tcp 10.96.0.10 80 $ask
# Outside clients would have another kernel, without this node's socket hook: from here on it is off.
cat > /tmp/tc.yaml <<Y
folder: $P/examples/shop
nodeName: node-a
clusterCIDRs: [10.244.0.0/16, "fd00:10:244::/48"]
stateFile: /tmp/state.json
hooks: { socket: false }
Y
$PORTOLAN run --config /tmp/tc.yaml > /tmp/agent.log 2>&1 &
agent=$!
for i in $(seq 300); do grep -q '"serving"\|serving' /tmp/agent.log && grep -q 'devices' /tmp/agent.log && break; sleep 0.2; done
grep -q 'took over' /tmp/agent.log; ok $? 'the next agent takes over what is pinned'
expect 'outside -> NodePort' inside out $PEER ask tcp 192.0.2.10 30080 --bind-address 192.0.2.100 $ask
expect 'outside -> NodePort, IPv6' inside out $PEER ask tcp 2001:db8:1::10 30080 --bind-address 2001:db8:1::100 $ask
expect 'outside -> LoadBalancer' inside out $PEER ask tcp 203.0.113.10 80 --bind-address 192.0.2.100 $ask
expect 'pod -> ClusterIP by tc' inside client $PEER ask tcp 10.96.0.10 80 $ask
expect 'pod -> ClusterIP by tc, UDP' inside client $PEER ask udp fd00:10:96::53 53 $ask
inside client $PEER ask tcp 10.96.0.90 80 --timeout 3000 > /tmp/out 2>&1
grep -q ECONNREFUSED /tmp/out; ok $? 'a Service without endpoints refuses'
$PORTOLAN services -o json > /tmp/services.json
served() { grep -o "\"$1\": [0-9]*" /tmp/services.json | awk '{ n += $2 } END { print n + 0 }'; }
echo "# served by the socket hook: $(served socket), by tc: $(served tc)"
[ "$(served socket)" -ge 60 ]; ok $? 'the socket hook served host and pods'
[ "$(served tc)" -ge 60 ]; ok $? 'tc served outside clients and pods'
$PORTOLAN dump --from kernel > /tmp/kernel.txt
$PORTOLAN dump --from plan --config /tmp/tc.yaml > /tmp/plan.txt
[ -s /tmp/plan.txt ] && [ "$(cat /tmp/plan.txt)" = "$(cat /tmp/kernel.txt)" ]; ok $? 'the kernel has what was planned'
bpftool map dump pinned /sys/fs/bpf/portolan/v1/maps/frontends | grep -q cluster_count; ok $? 'bpftool shows entries by field name'
kill $agent; wait $agent
ok $? 'SIGTERM ends the agent with 0'
$PORTOLAN cleanup > /tmp/out; ok $? 'cleanup'
bpftool net show 2>/dev/null | grep -q pl_; [ $? = 1 ] && [ ! -e /sys/fs/bpf/portolan ]; ok $? 'cleanup leaves nothing'
exit $failed
