// Who reaches what, and what becomes of it: the flow decisions of kube-proxy (and where the socket hook differs from
// them), written down by hand. services.test.ts holds every row against real sockets.

import { PARTNER } from '../../lab/addresses.js';
import { type Family, type ServiceName, type Way, WEB, WEB_ON_NODE_A } from './town.js';

/** Where a question comes from: a pod of node-a, a pod of node-b, a process of node-a itself, a machine outside. */
export type From = 'client' | 'own' | 'visitor' | 'node-a' | 'outside';

/** The client's own address, or node-a's (masqueraded); or its own for endpoints of node-a only. */
export type SeenAs = 'itself' | 'node-a' | 'itself-on-node-a';

/** What becomes of a connection. */
export type Fate =
  /** All of these endpoints answer, and see the client as this. */
  | { readonly answer: readonly string[]; readonly seenAs: SeenAs }
  /** The endpoint's own refusal comes back through the Service's address. */
  | { readonly refusedBy: 'endpoint' }
  /** Refused at once, for this reason. */
  | { readonly refused: string }
  /** No answer, and this reason is counted. */
  | { readonly dropped: string }
  /** It meets no hook, and ends as it would without us: refused by the node, or lost at its router. */
  | { readonly unserved: 'refused' | 'lost' };

export interface Row {
  readonly from: From;
  readonly to: readonly [ServiceName, Way];
  /** Default: both. */
  readonly family?: Family;
  /** A second address of the client. */
  readonly bindAddress?: string;
  /** As the tc hook has it. */
  readonly tc: Fate;
  /** As the socket hook has it, where it sees this client and does not leave it to the packet path. */
  readonly socket?: Fate;
}

export const served = (answer: readonly string[], seenAs: SeenAs): Fate => ({ answer, seenAs });
export const refused = (reason: string): Fate => ({ refused: reason });
export const dropped = (reason: string): Fate => ({ dropped: reason });
export const unserved = (how: 'refused' | 'lost'): Fate => ({ unserved: how });

export const LEAK = dropped('drop-service-leak');
const NO_ENDPOINT = refused('reject-no-endpoint');
const UNKNOWN_PORT = refused('reject-no-frontend');
const UNALLOCATED = dropped('drop-unallocated');
const NO_LOCAL = dropped('drop-no-local-endpoint');
const FORBIDDEN = dropped('drop-source-range');

/** A pod of the agent's node. The socket hook never masquerades: endpoints see the pod, also through a node port. */
const FROM_POD: readonly Omit<Row, 'from'>[] = [
  { to: ['web', 'cluster-ip'], tc: served(WEB, 'itself'), socket: served(WEB, 'itself') },
  { to: ['web', 'node-port'], tc: served(WEB, 'node-a'), socket: served(WEB, 'itself') },
  { to: ['web', 'load-balancer'], tc: served(WEB, 'node-a'), socket: served(WEB, 'itself') },
  { to: ['web', 'external-ip'], tc: served(WEB, 'node-a'), socket: served(WEB, 'itself') },
  // externalTrafficPolicy Local is short-circuited for pods: the cluster list, and their own address.
  { to: ['web-local', 'load-balancer'], tc: served(WEB, 'itself'), socket: served(WEB, 'itself') },
  { to: ['web-local', 'node-port'], tc: served(WEB, 'itself'), socket: served(WEB, 'itself') },
  {
    to: ['remote-local', 'load-balancer'],
    tc: served(['remote-b1'], 'itself'),
    socket: served(['remote-b1'], 'itself'),
  },
  // internalTrafficPolicy Local never is.
  {
    to: ['web-internal', 'cluster-ip'],
    tc: served(WEB_ON_NODE_A, 'itself'),
    socket: served(WEB_ON_NODE_A, 'itself'),
  },
  { to: ['remote-internal', 'cluster-ip'], tc: NO_LOCAL },
  { to: ['empty', 'cluster-ip'], tc: NO_ENDPOINT, socket: NO_ENDPOINT },
  { to: ['empty', 'node-port'], tc: NO_ENDPOINT, socket: NO_ENDPOINT },
  { to: ['empty', 'load-balancer'], tc: NO_ENDPOINT, socket: NO_ENDPOINT },
  { to: ['closed', 'cluster-ip'], tc: { refusedBy: 'endpoint' }, socket: { refusedBy: 'endpoint' } },
  { to: ['web', 'unknown-port'], tc: UNKNOWN_PORT },
  { to: ['nobody', 'cluster-ip'], tc: UNALLOCATED },
  // The ranges of partners hold pods' IPv6 addresses only.
  { to: ['partners', 'load-balancer'], family: 'v4', tc: FORBIDDEN },
  { to: ['partners', 'load-balancer'], family: 'v6', tc: served(WEB, 'node-a') },
  { to: ['no-socket', 'cluster-ip'], tc: served(WEB, 'itself') },
];

/** A process of node-a itself. Without the socket hook nothing serves it: it meets no tc ingress. */
const FROM_HOST: readonly Omit<Row, 'from'>[] = [
  { to: ['web', 'cluster-ip'], tc: LEAK, socket: served(WEB, 'itself') },
  { to: ['web', 'node-port'], tc: unserved('refused'), socket: served(WEB, 'itself') },
  { to: ['web', 'localhost'], tc: unserved('refused'), socket: served(WEB, 'itself') },
  { to: ['web', 'load-balancer'], tc: unserved('lost'), socket: served(WEB, 'itself') },
  { to: ['web', 'external-ip'], tc: unserved('lost'), socket: served(WEB, 'itself') },
  { to: ['web-local', 'load-balancer'], tc: unserved('lost'), socket: served(WEB, 'itself') },
  { to: ['web-internal', 'cluster-ip'], tc: LEAK, socket: served(WEB_ON_NODE_A, 'itself') },
  { to: ['remote-internal', 'cluster-ip'], tc: LEAK },
  { to: ['empty', 'cluster-ip'], tc: LEAK, socket: NO_ENDPOINT },
  { to: ['empty', 'localhost'], tc: unserved('refused'), socket: NO_ENDPOINT },
  { to: ['web', 'unknown-port'], tc: LEAK },
  { to: ['nobody', 'cluster-ip'], tc: LEAK },
];

/** A machine that is no part of the cluster, whether the socket hook is on or off. */
const FROM_OUTSIDE: readonly Omit<Row, 'from'>[] = [
  { to: ['web', 'node-port'], tc: served(WEB, 'node-a') },
  { to: ['web', 'load-balancer'], tc: served(WEB, 'node-a') },
  { to: ['web', 'external-ip'], tc: served(WEB, 'node-a') },
  { to: ['web', 'cluster-ip'], tc: served(WEB, 'node-a') },
  { to: ['web-local', 'node-port'], tc: served(WEB_ON_NODE_A, 'itself') },
  { to: ['web-local', 'load-balancer'], tc: served(WEB_ON_NODE_A, 'itself') },
  { to: ['remote-local', 'node-port'], tc: NO_LOCAL },
  { to: ['remote-local', 'load-balancer'], tc: NO_LOCAL },
  { to: ['web-internal', 'cluster-ip'], tc: served(WEB_ON_NODE_A, 'node-a') },
  { to: ['partners', 'load-balancer'], tc: FORBIDDEN },
  {
    to: ['partners', 'load-balancer'],
    family: 'v4',
    bindAddress: PARTNER.v4,
    tc: served(WEB, 'node-a'),
  },
  { to: ['empty', 'node-port'], tc: NO_ENDPOINT },
  { to: ['empty', 'load-balancer'], tc: NO_ENDPOINT },
  { to: ['closed', 'node-port'], tc: { refusedBy: 'endpoint' } },
  { to: ['web', 'unknown-port'], tc: UNKNOWN_PORT },
  { to: ['nobody', 'cluster-ip'], tc: UNALLOCATED },
];

/** A pod of node-b, where no agent runs and the CNI masquerades: for node-a a machine outside. */
const FROM_OTHER_NODE: readonly Omit<Row, 'from'>[] = [
  { to: ['web', 'cluster-ip'], tc: served(WEB, 'node-a') },
  { to: ['web', 'node-port'], tc: served(WEB, 'node-a') },
  { to: ['web', 'load-balancer'], tc: served(WEB, 'node-a') },
  { to: ['web-local', 'load-balancer'], tc: served(WEB_ON_NODE_A, 'itself') },
  { to: ['remote-local', 'node-port'], tc: NO_LOCAL },
  { to: ['empty', 'node-port'], tc: NO_ENDPOINT },
  { to: ['nobody', 'cluster-ip'], tc: UNALLOCATED },
];

export const TABLE: readonly Row[] = [
  ...FROM_POD.map((row): Row => ({ ...row, from: 'client' })),
  // The only endpoint is the client itself: it would not take an answer from itself by another name.
  {
    from: 'own',
    to: ['own', 'cluster-ip'],
    tc: served(['own'], 'node-a'),
    socket: served(['own'], 'itself'),
  },
  ...FROM_HOST.map((row): Row => ({ ...row, from: 'node-a' })),
  ...FROM_OUTSIDE.map((row): Row => ({ ...row, from: 'outside' })),
  ...FROM_OTHER_NODE.map((row): Row => ({ ...row, from: 'visitor' })),
];
