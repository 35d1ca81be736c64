// The small fixed set of netfilter rules, the same however many Services there are: text only. The BPF programs mark
// what is to be masqueraded; the kernel allocates the ports (design: decision 2).

/** Name of the nft table and of the iptables chain; both are ours alone. */
export const NFT_TABLE = 'portolan';
export const FORWARD_CHAIN = 'PORTOLAN-FORWARD';

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

/**
 * For `nft -f -`. Flushes and refills our chains in one transaction and never deletes them: as long as the masquerade
 * rule stands, nf_nat and conntrack stay registered, and flows that netfilter has translated live on.
 * @param mark the masquerade mark, one bit
 */
export function nftRules(mark: number): string {
  const bit = hex(mark);
  // The mark goes after NAT (srcnat is 100), or an overlay's outer packet would inherit it and be masqueraded again.
  return `table inet ${NFT_TABLE} {
  chain postrouting { type nat hook postrouting priority 100; policy accept; }
  chain clear-mark { type filter hook postrouting priority 110; policy accept; }
}
flush chain inet ${NFT_TABLE} postrouting
flush chain inet ${NFT_TABLE} clear-mark
add rule inet ${NFT_TABLE} postrouting meta mark and ${bit} == ${bit} counter masquerade fully-random
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
export const FORWARD_JUMP = ['FORWARD', '-m', 'comment', '--comment', 'portolan forwarding', '-j', FORWARD_CHAIN];
