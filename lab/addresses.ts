// The lab's fixed addresses, both families. The example folders use the same ones.

/** One host's addresses. */
export interface HostAddresses {
  readonly v4: string;
  readonly v6: string;
}

export type NodeName = 'node-a' | 'node-b';

/** Addresses of the two nodes on the network that they share with the outside client. */
export const NODES: Readonly<Record<NodeName, HostAddresses>> = {
  'node-a': { v4: '192.0.2.10', v6: '2001:db8:1::10' },
  'node-b': { v4: '192.0.2.11', v6: '2001:db8:1::11' },
};

/** A machine outside the cluster. */
export const OUTSIDE: HostAddresses = { v4: '192.0.2.100', v6: '2001:db8:1::100' };

/** A second IPv4 address of the outside client, in a partners' network that the nodes route to it. */
export const PARTNER = { range: '198.51.100.128/25', v4: '198.51.100.200' } as const;

/** Default gateway of the nodes. It forwards nothing: what a node lets out by mistake is lost there. */
export const ROUTER: HostAddresses = { v4: '192.0.2.1', v6: '2001:db8:1::1' };

/** Pod ranges of each node, and the range that holds both. */
export const POD_RANGES: Readonly<Record<NodeName, HostAddresses>> = {
  'node-a': { v4: '10.244.0.0/24', v6: 'fd00:10:244:0::/64' },
  'node-b': { v4: '10.244.1.0/24', v6: 'fd00:10:244:1::/64' },
};
export const CLUSTER_RANGE: HostAddresses = { v4: '10.244.0.0/16', v6: 'fd00:10:244::/48' };
export const SERVICE_RANGE: HostAddresses = { v4: '10.96.0.0/16', v6: 'fd00:10:96::/112' };

/** Ranges of load balancer addresses and external addresses; the outside client routes them to node-a. */
export const OUTSIDE_RANGES: readonly HostAddresses[] = [
  { v4: '203.0.113.0/24', v6: '2001:db8:203::/64' },
  { v4: '198.51.100.0/24', v6: '2001:db8:198::/64' },
];

/** The pod that plays the client, unless the folder has one of that name. */
export const CLIENT: HostAddresses = { v4: '10.244.0.250', v6: 'fd00:10:244::250' };

/** The nodes' own addresses in the overlay, where there is one. */
export const OVERLAY: Readonly<Record<NodeName, HostAddresses>> = {
  'node-a': { v4: '10.244.0.254', v6: 'fd00:10:244:0::fffe' },
  'node-b': { v4: '10.244.1.254', v6: 'fd00:10:244:1::fffe' },
};
