// Pure: what a lab is made of, as batches for `ip`, sysctls and firewall rules per network namespace. lab.ts runs them.

import {
  CLIENT,
  type HostAddresses,
  NODES,
  type NodeName,
  OUTSIDE,
  OUTSIDE_RANGES,
  OVERLAY,
  PARTNER,
  POD_RANGES,
  ROUTER,
  SERVICE_RANGE,
} from './addresses.js';
import { type ForwardDrop, forwardRules, invalidRules, masqueradeRules } from './firewall.js';

/** A pod to stand up: a network namespace behind one of the nodes. */
export interface LabPod extends HostAddresses {
  readonly name: string;
  readonly node: NodeName;
  /** Ports that its `peer serve` listens on. */
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
}

/** How the lab is built; every member is spelled out (see LabOptions for the defaults). */
export interface TopologyOptions {
  /** Pods of node-a: /32 routes and proxy ARP, as Calico and kindnet have it; or ports of a bridge, as flannel. */
  readonly podNetwork: 'routed' | 'bridged';
  /** How pods of the other node are reached: by a route, or through VXLAN. */
  readonly underlay: 'routed' | 'vxlan';
  /** net.ipv4.conf.all.rp_filter=1 on both nodes. */
  readonly rpFilter: boolean;
  /** iptables FORWARD policy DROP on node-a. */
  readonly forwardDrop: ForwardDrop;
  /** nft rule that drops `ct state invalid` in FORWARD on node-a. */
  readonly invalidDrop: boolean;
  /** The CNI's masquerade rule on both nodes: from pods to anything but pods. */
  readonly masquerade: boolean;
  /** Bridged pods: net.bridge.bridge-nf-call-iptables. */
  readonly bridgeNetfilter: boolean;
  /** The outside client routes the service ranges to node-a. */
  readonly outsideReachesClusterIps: boolean;
}

/** What to do inside one network namespace. */
export interface NamespacePlan {
  /** Name without the lab's prefix; also the `where` of Lab.run. */
  readonly name: string;
  /** Before any device exists. */
  readonly sysctls: readonly string[];
  /** `ip -batch` lines that make devices, some of them with their other end in a later namespace. */
  readonly devices: readonly string[];
  /** `ip -batch` lines once every device exists. */
  readonly configure: readonly string[];
  /** Sysctls of devices. */
  readonly deviceSysctls: readonly string[];
  /** Shell lines: iptables and nft. */
  readonly rules: readonly string[];
}

const SWITCH = 'switch';
const VXLAN_DEVICE = 'flannel.1';
const VXLAN_MTU = 1450;

/** The name of the node's end of a pod's veth; at most 15 characters and different for every pod. */
export function podDevice(pod: LabPod, index: number): string {
  return pod.name.length <= 10 ? `veth-${pod.name}` : `veth${index}-${pod.name.slice(0, 7)}`;
}

/** @param netns gives the full name of a namespace */
export function planLab(
  pods: readonly LabPod[],
  options: TopologyOptions,
  netns: (name: string) => string,
): NamespacePlan[] {
  return [
    planSwitch(netns),
    planNode('node-a', pods, options, netns),
    planNode(
      'node-b',
      pods,
      { ...options, podNetwork: 'routed', forwardDrop: 'off', invalidDrop: false },
      netns,
    ),
    planOutside(options),
    ...pods.map((pod) => planPod(pod, options)),
  ];
}

/** The pods of the folder, and the client where the folder has none. */
export function withClient(pods: readonly LabPod[]): LabPod[] {
  if (pods.some((pod) => pod.name === 'client')) return [...pods];
  return [...pods, { name: 'client', node: 'node-a', ...CLIENT, tcp: [], udp: [] }];
}

const HOST_SYSCTLS = [
  'net.ipv6.conf.all.accept_dad=0',
  'net.ipv6.conf.default.accept_dad=0',
  'net.ipv6.conf.default.router_solicitations=0',
];

/** Many short connections from one client: its ports must not run out. */
const CLIENT_SYSCTLS = ['net.ipv4.ip_local_port_range=10240 65535', 'net.ipv4.tcp_tw_reuse=1'];

function planSwitch(netns: (name: string) => string): NamespacePlan {
  const port = (to: string): string[] => [
    `link add to-${to} type veth peer name eth0 netns ${netns(to)}`,
    `link set to-${to} master br0 up`,
  ];
  return {
    name: SWITCH,
    sysctls: [...HOST_SYSCTLS, 'net.ipv4.ip_forward=0'],
    devices: [
      'link add br0 type bridge forward_delay 0 mcast_snooping 0',
      ...['node-a', 'node-b', 'outside'].flatMap(port),
    ],
    configure: [
      'link set lo up',
      `addr add ${ROUTER.v4}/24 dev br0`,
      `addr add ${ROUTER.v6}/64 dev br0 nodad`,
      'link set br0 up',
    ],
    deviceSysctls: ['net.bridge.bridge-nf-call-iptables=0', 'net.bridge.bridge-nf-call-ip6tables=0'],
    rules: [],
  };
}

function planNode(
  name: NodeName,
  allPods: readonly LabPod[],
  options: TopologyOptions,
  netns: (name: string) => string,
): NamespacePlan {
  const pods = allPods.filter((pod) => pod.node === name);
  const devices = pods.map(podDevice);
  const bridged = options.podNetwork === 'bridged';
  const rpFilter = options.rpFilter ? 1 : 0;
  return {
    name,
    sysctls: [
      ...HOST_SYSCTLS,
      'net.ipv4.ip_forward=1',
      'net.ipv6.conf.all.forwarding=1',
      `net.ipv4.conf.all.rp_filter=${rpFilter}`,
      `net.ipv4.conf.default.rp_filter=${rpFilter}`,
    ],
    devices: [
      ...(bridged ? ['link add cni0 type bridge forward_delay 0 mcast_snooping 0'] : []),
      ...pods.map((pod, i) => `link add ${devices[i]} type veth peer name eth0 netns ${netns(pod.name)}`),
      ...(options.underlay === 'vxlan' ? [vxlanLink(name)] : []),
    ],
    configure: [
      'link set lo up',
      ...uplink(NODES[name]),
      `route add ${PARTNER.range} via ${OUTSIDE.v4}`,
      // Both ends of a pod's veth alike: what is too large for the pod is told to its sender, not lost.
      ...(options.underlay === 'vxlan' ? devices.map((device) => `link set ${device} mtu ${VXLAN_MTU}`) : []),
      ...(bridged ? bridgePods(devices) : routePods(pods, devices)),
      ...otherNode(name, options.underlay),
    ],
    deviceSysctls: bridged ? bridgeSysctls(options.bridgeNetfilter) : devices.flatMap(proxyArp),
    rules: [
      ...forwardRules(options.forwardDrop),
      ...invalidRules(options.invalidDrop),
      ...masqueradeRules(options.masquerade),
    ],
  };
}

function uplink(host: HostAddresses): string[] {
  return [
    `addr add ${host.v4}/24 dev eth0`,
    `addr add ${host.v6}/64 dev eth0 nodad`,
    'link set eth0 up',
    `route add default via ${ROUTER.v4}`,
    `route add default via ${ROUTER.v6}`,
  ];
}

function routePods(pods: readonly LabPod[], devices: readonly string[]): string[] {
  return pods.flatMap((pod, i) => [
    `addr add fe80::1/64 dev ${devices[i]} nodad`,
    `link set ${devices[i]} up`,
    `route add ${pod.v4}/32 dev ${devices[i]}`,
    `route add ${pod.v6}/128 dev ${devices[i]}`,
  ]);
}

/** The pod's gateway 169.254.1.1 exists nowhere: the node answers for it, at once instead of within 0.8 s. */
const proxyArp = (device: string): string[] => [
  `net.ipv4.conf.${device}.proxy_arp=1`,
  `net.ipv4.neigh.${device}.proxy_delay=0`,
];

function bridgePods(devices: readonly string[]): string[] {
  return [
    'addr add 10.244.0.1/24 dev cni0',
    'addr add fd00:10:244:0::1/64 dev cni0 nodad',
    ...devices.flatMap((device) => [
      `link set ${device} master cni0 up`,
      // As flannel's bridge has it: a pod may be answered through the port that it asked by.
      `link set ${device} type bridge_slave hairpin on`,
    ]),
    'link set cni0 up',
  ];
}

function bridgeSysctls(on: boolean): string[] {
  const value = on ? 1 : 0;
  return [`net.bridge.bridge-nf-call-iptables=${value}`, `net.bridge.bridge-nf-call-ip6tables=${value}`];
}

const other = (name: NodeName): NodeName => (name === 'node-a' ? 'node-b' : 'node-a');

function vxlanLink(name: NodeName): string {
  const here = NODES[name].v4;
  const there = NODES[other(name)].v4;
  return `link add ${VXLAN_DEVICE} mtu ${VXLAN_MTU} type vxlan id 1 local ${here} remote ${there} dstport 8472`;
}

/** Routes to the other node's pods. */
function otherNode(name: NodeName, underlay: 'routed' | 'vxlan'): string[] {
  const there = other(name);
  const range = POD_RANGES[there];
  if (underlay === 'routed')
    return [`route add ${range.v4} via ${NODES[there].v4}`, `route add ${range.v6} via ${NODES[there].v6}`];
  return [
    `addr add ${OVERLAY[name].v4}/32 dev ${VXLAN_DEVICE}`,
    `addr add ${OVERLAY[name].v6}/128 dev ${VXLAN_DEVICE} nodad`,
    `link set ${VXLAN_DEVICE} up`,
    `route add ${range.v4} via ${OVERLAY[there].v4} dev ${VXLAN_DEVICE} onlink`,
    `route add ${OVERLAY[there].v6}/128 dev ${VXLAN_DEVICE}`,
    `route add ${range.v6} via ${OVERLAY[there].v6} dev ${VXLAN_DEVICE} onlink`,
  ];
}

function planOutside(options: TopologyOptions): NamespacePlan {
  const node = NODES['node-a'];
  const ranges = [
    ...OUTSIDE_RANGES,
    ...(options.outsideReachesClusterIps ? [SERVICE_RANGE] : []),
    POD_RANGES['node-a'],
  ];
  return {
    name: 'outside',
    sysctls: [...HOST_SYSCTLS, ...CLIENT_SYSCTLS],
    devices: [],
    configure: [
      'link set lo up',
      ...uplink(OUTSIDE),
      `addr add ${PARTNER.v4}/32 dev eth0`,
      ...ranges.flatMap((range) => [
        `route add ${range.v4} via ${node.v4}`,
        `route add ${range.v6} via ${node.v6}`,
      ]),
      `route add ${POD_RANGES['node-b'].v4} via ${NODES['node-b'].v4}`,
      `route add ${POD_RANGES['node-b'].v6} via ${NODES['node-b'].v6}`,
    ],
    deviceSysctls: [],
    rules: [],
  };
}

function planPod(pod: LabPod, options: TopologyOptions): NamespacePlan {
  const network = pod.node === 'node-a' ? options.podNetwork : 'routed';
  // As CNIs with an overlay have it: pods must not need the path MTU found out for them.
  const mtu = options.underlay === 'vxlan' ? VXLAN_MTU : 1500;
  const routed = [
    `addr add ${pod.v4}/32 dev eth0`,
    `addr add ${pod.v6}/128 dev eth0 nodad`,
    'link set eth0 up',
    'route add 169.254.1.1 dev eth0 scope link',
    'route add default via 169.254.1.1',
    'route add default via fe80::1 dev eth0',
  ];
  const bridged = [
    `addr add ${pod.v4}/24 dev eth0`,
    `addr add ${pod.v6}/64 dev eth0 nodad`,
    'link set eth0 up',
    'route add default via 10.244.0.1',
    'route add default via fd00:10:244:0::1',
  ];
  return {
    name: pod.name,
    sysctls: [...HOST_SYSCTLS, ...CLIENT_SYSCTLS],
    devices: [],
    configure: ['link set lo up', `link set eth0 mtu ${mtu}`, ...(network === 'routed' ? routed : bridged)],
    deviceSysctls: [],
    rules: [],
  };
}
