// Entries of `sockets` that name what is no more: sockets to destroy, and entries to forget.

import type { Socket } from '../../abi/layout.gen.js';
import type { SocketToDestroy } from '../../native/api.js';
import { IPPROTO } from './flags.js';
import type { BpfMaps } from './maps.js';
import { pace } from './pace.js';

/**
 * Connected UDP sockets whose endpoint no longer serves: the process would send into nothing and never know. Destroyed,
 * it gets ECONNABORTED and connects anew. TCP connections keep their endpoint, as under kube-proxy.
 *
 * @returns by cookie of the network namespace, which is where they can be destroyed
 */
export async function staleUdpSockets(maps: BpfMaps): Promise<Map<bigint, SocketToDestroy[]>> {
  const stale = new Map<bigint, SocketToDestroy[]>();
  const turn = pace();
  for (const [cookie, socket] of await maps.sockets.dump()) {
    if (turn.isOver()) await turn.next();
    if (socket.proto !== IPPROTO.UDP || isListed(maps, socket)) continue;
    const found = stale.get(socket.netns) ?? [];
    found.push({ family: socket.family === 4 ? 4 : 6, protocol: socket.proto, cookie });
    stale.set(socket.netns, found);
  }
  return stale;
}

/** In `sockets` above this part of what fits, old entries make room. */
const PRESSED_FILL = 0.75;
const OLD_NS = 24 * 3600 * 1e9;

/**
 * Forgets entries whose sock_release was missed: it is only missed while the hook is not attached (a cgroup that was
 * remade, `cleanup` and start), so they are few. An entry goes when its network namespace has gone, as its sockets have,
 * too. The others cannot be told from sockets that live: they stay until the map is three quarters full, and then those
 * older than 24 h go, the oldest first. What a living socket loses with its entry is the Service's address in
 * getpeername(), and for UDP that it is destroyed when its endpoint leaves.
 *
 * @param aliveNetns cookies of all network namespaces that exist; undefined where they are not known
 * @param nowNs nanoseconds of CLOCK_MONOTONIC
 * @returns how many were forgotten
 */
export async function forgetDeadSockets(
  maps: BpfMaps,
  aliveNetns: ReadonlySet<bigint> | undefined,
  nowNs: number,
): Promise<number> {
  const turn = pace();
  const all = await maps.sockets.dump();
  const dead: bigint[] = [];
  const old: { readonly cookie: bigint; readonly createdNs: bigint }[] = [];
  for (const [cookie, { netns, createdNs }] of all) {
    if (turn.isOver()) await turn.next();
    if (aliveNetns && !aliveNetns.has(netns)) dead.push(cookie);
    else if (nowNs - Number(createdNs) > OLD_NS) old.push({ cookie, createdNs });
  }
  const excess = all.length - dead.length - PRESSED_FILL * maps.sockets.info.maxEntries;
  if (excess > 0) {
    old.sort((a, b) => (a.createdNs < b.createdNs ? -1 : 1));
    dead.push(...old.slice(0, Math.ceil(excess)).map(({ cookie }) => cookie));
  }
  for (const cookie of dead) {
    maps.sockets.delete(cookie);
    if (turn.isOver()) await turn.next();
  }
  return dead.length;
}

function isListed(maps: BpfMaps, { service, backend, backendPort }: Socket): boolean {
  return maps.backends.get({ service, addr: backend, port: backendPort }) !== undefined;
}
