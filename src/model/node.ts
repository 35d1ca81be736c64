// This node, as the API server tells it and as its own interfaces show it.

export interface NodeAddress {
  /** InternalIP, ExternalIP, Hostname, ... */
  readonly type: string;
  readonly address: string;
}

export interface Node {
  readonly name: string;
  /** Label topology.kubernetes.io/zone; "" where it is missing. */
  readonly zone: string;
  /** status.addresses. */
  readonly addresses: readonly NodeAddress[];
  /** spec.podCIDRs. */
  readonly podCIDRs: readonly string[];
}

/** An address of one of this machine's interfaces. */
export interface InterfaceAddress {
  readonly interface: string;
  readonly address: string;
}
