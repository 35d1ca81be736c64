// The small fixed set of netfilter rules, the same however many Services there are: text only. The BPF programs mark
// what is to be masqueraded; the kernel allocates the ports (design: decision 2).

/** Name of the nft table and of the iptables chain; both are ours alone. */
export const NFT_TABLE = 'portolan';
export const FORWARD_CHAIN = 'PORTOLAN-FORWARD';

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

/** Ports, both ends included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** The API server's default (--service-node-port-range). */
const NODE_PORTS: PortRange = { from: 30_000, to: 32_767 };

/**
 * The ports that masqueraded flows may come from: no node ports. The answer to such a port arrives at one of this node's
 * addresses before netfilter knows it again, and would be taken for somebody who asks the node port's Service.
 */
export function masqueradePorts({ from, to }: PortRange): PortRange {
  const below = { from: 1024, to: from - 1 };
  const above = { from: to + 1, to: 65_535 };
  return above.to - above.from >= below.to - below.from ? above : below;
}

/**
 * For `nft -f -`. Flushes and refills our chains in one transaction and never deletes them: as long as the masquerade
 * rule stands, nf_nat and conntrack stay registered, and flows that netfilter has translated live on.
 * @param mark the masquerade mark, one bit
 */
export function nftRules(mark: number, nodePorts: PortRange = NODE_PORTS): string {
  const bit = hex(mark);
  const { from, to } = masqueradePorts(nodePorts);
  // The mark goes after NAT (srcnat is 100), or an overlay's outer packet would inherit it and be masqueraded again.
  return `table inet ${NFT_TABLE} {
  chain postrouting { type nat hook postrouting priority 100; policy accept; }
  chain clear-mark { type filter hook postrouting priority 110; policy accept; }
}
flush chain inet ${NFT_TABLE} postrouting
flush chain inet ${NFT_TABLE} clear-mark
add rule inet ${NFT_TABLE} postrouting meta mark and ${bit} == ${bit} meta l4proto { tcp, udp, sctp } counter masquerade to :${from}-${to} fully-random
add rule inet ${NFT_TABLE} clear-mark meta mark and ${bit} == ${bit} meta mark set meta mark and ${hex(~mark)}
`;
}

/** For `nft -f -`: takes all of ours away, and succeeds when nothing is there. */
export function nftCleanup(): string {
  return `table inet ${NFT_TABLE}\ndelete table inet ${NFT_TABLE}\n`;
}

/**
 * For `iptables-restore --noflush`: what kube-proxy's KUBE-FORWARD accepts. An accept in nft cannot override a DROP policy
 * of iptables' FORWARD chain, so these have to stand there. The jump is made by forwardJump, once.
 */
export function forwardRules(mark: number): string {
  const bit = `${hex(mark)}/${hex(mark)}`;
  return `*filter
:${FORWARD_CHAIN} - [0:0]
-A ${FORWARD_CHAIN} -m comment --comment "portolan: marked for masquerade" -m mark --mark ${bit} -j ACCEPT
-A ${FORWARD_CHAIN} -m comment --comment "portolan: the rest of a flow" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
`;
}

/** Arguments that name the jump from FORWARD; put -C, -I or -D before them. */
export const FORWARD_JUMP = [
  'FORWARD',
  '-m',
  'comment',
  '--comment',
  'portolan forwarding',
  '-j',
  FORWARD_CHAIN,
];
