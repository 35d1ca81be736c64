// Pure: the firewall rules that nodes are found with, as shell lines.

import { CLUSTER_RANGE } from './addresses.js';

/** `pods` accepts what comes from or goes to pods, `strict` only pod to pod. */
export type ForwardDrop = 'off' | 'pods' | 'strict';

const FAMILIES = [
  ['iptables', CLUSTER_RANGE.v4],
  ['ip6tables', CLUSTER_RANGE.v6],
] as const;

/** @returns shell lines */
export function forwardRules(mode: ForwardDrop): string[] {
  if (mode === 'off') return [];
  return FAMILIES.flatMap(([command, range]) => [
    `${command} -w -P FORWARD DROP`,
    ...(mode === 'strict'
      ? [`${command} -w -A FORWARD -s ${range} -d ${range} -j ACCEPT`]
      : [`${command} -w -A FORWARD -s ${range} -j ACCEPT`, `${command} -w -A FORWARD -d ${range} -j ACCEPT`]),
  ]);
}

/** @returns shell lines */
export function invalidRules(on: boolean): string[] {
  if (!on) return [];
  return [
    'nft add table inet lab',
    'nft add counter inet lab invalid',
    "nft add chain inet lab forward '{ type filter hook forward priority 0; }'",
    'nft add rule inet lab forward ct state invalid counter name invalid drop',
  ];
}

/** @returns shell lines */
export function masqueradeRules(on: boolean): string[] {
  if (!on) return [];
  return FAMILIES.map(
    ([command, range]) =>
      `${command} -w -t nat -A POSTROUTING -s ${range} ! -d ${range} -j MASQUERADE --random-fully`,
  );
}
