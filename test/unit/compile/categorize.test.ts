// Endpoint lists, case by case as kube-proxy's TestCategorizeEndpoints has them; expected values by hand.

import { describe, expect, test } from 'vitest';
import { compile } from '../../../src/compile/compile.js';
import type { Endpoint } from '../../../src/model/endpoint.js';
import type { Service } from '../../../src/model/service.js';
import { makeContext, makeEndpoint, makePort, makeService, makeSlice } from '../../helpers/model.js';

type Flags = Partial<Endpoint>;

interface Case {
  readonly name: string;
  readonly node?: string;
  readonly zone?: string;
  /** With a node port, and so reachable from outside. */
  readonly external?: boolean;
  readonly etp?: 'Local';
  readonly itp?: 'Local';
  readonly endpoints: Readonly<Record<string, Flags>>;
  /** Last parts of 10.1.2.x; no member: the list is not used. */
  readonly cluster?: readonly number[];
  readonly local?: readonly number[];
  readonly any?: boolean;
}

const HERE = 'node-1';
const zone = (...zoneHints: string[]): Flags => ({ zoneHints });
const both = (z: string, n: string): Flags => ({ zoneHints: [z], nodeHints: [n] });
const here: Flags = { nodeName: HERE };
const unready: Flags = { ready: false, serving: false };
const draining: Flags = { ready: false, serving: true, terminating: true };
const fourZones = { 3: zone('a'), 4: zone('b'), 5: zone('c'), 6: zone('a') };
const twoHere = { 3: { ...zone('a'), ...here }, 4: { ...zone('b'), ...here }, 5: zone('c'), 6: zone('a') };
const fourNodes = {
  3: both('a', 'node-1'),
  4: both('b', 'node-2'),
  5: both('c', 'node-3'),
  6: both('a', 'node-4'),
};
const oneHere = { 0: here, 1: {} };

const cases: readonly Case[] = [
  { name: 'zone hints are used', zone: 'a', endpoints: fourZones, cluster: [3, 6] },
  {
    name: 'eTP Local: hints do not touch the local list',
    zone: 'a',
    external: true,
    etp: 'Local',
    endpoints: twoHere,
    cluster: [3, 6],
    local: [3, 4],
  },
  {
    name: 'iTP Local: hints do not touch the local list',
    zone: 'a',
    external: true,
    itp: 'Local',
    endpoints: twoHere,
    cluster: [3, 6],
    local: [3, 4],
  },
  { name: 'a node without zone label uses all', endpoints: { 3: zone('a') }, cluster: [3] },
  {
    name: 'an empty zone label matches no hint',
    zone: '',
    endpoints: { 3: zone('a'), 4: zone('') },
    cluster: [3, 4],
  },
  {
    name: 'no endpoint for the zone: all are used',
    zone: 'b',
    endpoints: { 3: zone('a'), 5: zone('c') },
    cluster: [3, 5],
  },
  {
    name: 'an unready endpoint is left out',
    zone: 'a',
    endpoints: { ...fourZones, 6: { ...zone('a'), ...unready } },
    cluster: [3],
  },
  {
    name: 'only unready ones in the zone: no filtering',
    zone: 'a',
    endpoints: {
      3: { ...zone('a'), ...unready },
      4: zone('b'),
      5: zone('c'),
      6: { ...zone('a'), ...unready },
    },
    cluster: [4, 5],
  },
  {
    name: 'one missing hint: no filtering',
    zone: 'a',
    endpoints: { ...fourZones, 5: {} },
    cluster: [3, 4, 5, 6],
  },
  {
    name: 'a missing hint of an unready one does not count',
    zone: 'a',
    endpoints: { ...fourZones, 5: unready },
    cluster: [3, 6],
  },
  {
    name: 'several zones in a hint',
    zone: 'c',
    endpoints: { 3: zone('a', 'b', 'c'), 4: zone('b', 'c'), 5: zone('b', 'd'), 6: zone('c') },
    cluster: [3, 4, 6],
  },
  { name: 'node hints go before zone hints', zone: 'a', endpoints: fourNodes, cluster: [3] },
  {
    name: 'an unhinted endpoint disables node and zone hints',
    zone: 'a',
    endpoints: { ...fourNodes, 4: {} },
    cluster: [3, 4, 5, 6],
  },
  {
    name: 'no node hint for this node: zone hints',
    node: 'node-0',
    zone: 'a',
    endpoints: fourNodes,
    cluster: [3, 6],
  },
  {
    name: 'some without node hints, all with zone hints: zone hints',
    zone: 'a',
    endpoints: { ...fourNodes, 4: zone('b') },
    cluster: [3, 6],
  },
  {
    name: 'hints and locality choose differently',
    zone: 'a',
    external: true,
    itp: 'Local',
    endpoints: { 0: { ...zone('a'), ...here }, 1: { ...zone('b'), ...here }, 2: zone('a'), 3: zone('b') },
    cluster: [0, 2],
    local: [0, 1],
  },
  { name: 'iTP Local, no endpoints', itp: 'Local', endpoints: {}, local: [], any: false },
  { name: 'iTP Local, all remote', itp: 'Local', endpoints: { 0: {}, 1: {} }, local: [], any: true },
  { name: 'iTP Local, all local', itp: 'Local', endpoints: { 0: here, 1: here }, local: [0, 1] },
  { name: 'iTP Local, some local', itp: 'Local', endpoints: oneHere, local: [0] },
  { name: 'none ready', endpoints: { 0: unready, 1: unready }, cluster: [], any: false },
  { name: 'some ready', endpoints: { 0: unready, 1: {} }, cluster: [1] },
  { name: 'all terminating: they are used', endpoints: { 0: draining, 1: draining }, cluster: [0, 1] },
  {
    name: 'terminating ones are used without regard to hints',
    zone: 'a',
    endpoints: { 0: { ...draining, ...zone('b') }, 1: { ...draining, ...zone('a') } },
    cluster: [0, 1],
  },
  {
    name: 'iTP Local, eTP Cluster',
    external: true,
    itp: 'Local',
    endpoints: oneHere,
    cluster: [0, 1],
    local: [0],
  },
  {
    name: 'iTP Cluster, eTP Local',
    external: true,
    etp: 'Local',
    endpoints: oneHere,
    cluster: [0, 1],
    local: [0],
  },
  {
    name: 'both Local',
    external: true,
    etp: 'Local',
    itp: 'Local',
    endpoints: oneHere,
    cluster: [0, 1],
    local: [0],
  },
  {
    name: 'both Local, all remote',
    external: true,
    etp: 'Local',
    itp: 'Local',
    endpoints: { 0: {}, 1: {} },
    cluster: [0, 1],
    local: [],
  },
  {
    name: 'both Local, all remote and terminating',
    external: true,
    etp: 'Local',
    itp: 'Local',
    endpoints: { 0: draining, 1: draining },
    cluster: [0, 1],
    local: [],
    any: true,
  },
  {
    name: 'the lists fall back independently',
    external: true,
    etp: 'Local',
    endpoints: { 0: {}, 1: { ...here, ...unready }, 2: { ...here, ...draining }, 3: draining },
    cluster: [0],
    local: [2],
  },
  {
    name: 'eTP Local means nothing without an external address',
    etp: 'Local',
    endpoints: oneHere,
    cluster: [0, 1],
  },
  {
    name: 'iTP Local without external address: no cluster list',
    itp: 'Local',
    endpoints: { 0: {}, 1: here },
    local: [1],
  },
  {
    name: 'eTP Local, no endpoints',
    external: true,
    etp: 'Local',
    endpoints: {},
    cluster: [],
    local: [],
    any: false,
  },
  {
    name: 'eTP Local, all local',
    external: true,
    etp: 'Local',
    endpoints: { 0: here, 1: here },
    cluster: [0, 1],
    local: [0, 1],
  },
  {
    name: 'not ready, not serving, not terminating',
    external: true,
    etp: 'Local',
    endpoints: { 0: { ...here, ...unready } },
    cluster: [],
    local: [],
    any: false,
  },
  {
    name: 'terminating and not serving',
    endpoints: { 0: { ready: false, serving: false, terminating: true } },
    cluster: [],
    any: false,
  },
  {
    name: 'terminating and ready (publishNotReadyAddresses)',
    endpoints: { 0: { terminating: true } },
    cluster: [0],
  },
];

function serviceOf({ external = false, etp, itp }: Case): Service {
  return makeService({
    type: external ? 'NodePort' : 'ClusterIP',
    ports: [makePort({ nodePort: external ? 30_080 : 0 })],
    externalTrafficPolicy: etp ?? 'Cluster',
    internalTrafficPolicy: itp ?? 'Cluster',
  });
}

function planOf(c: Case) {
  const endpoints = Object.entries(c.endpoints).map(([last, flags]) => makeEndpoint(`10.1.2.${last}`, flags));
  const context = makeContext({ nodeName: c.node ?? HERE, zone: c.zone ?? '' });
  return compile(serviceOf(c), [makeSlice(endpoints)], context).ports[0]!;
}

const addresses = (last: readonly number[] = []) => last.map((n) => `10.1.2.${n}`);

describe('CategorizeEndpoints', () => {
  test.each(cases)('$name', (c) => {
    const plan = planOf(c);
    expect(plan.cluster.map(({ address }) => address)).toEqual(addresses(c.cluster));
    expect(plan.local.map(({ address }) => address)).toEqual(addresses(c.local));
    const listed = (c.cluster?.length ?? 0) + (c.local?.length ?? 0) > 0;
    expect(plan.hasEndpoints).toBe(c.any ?? listed);
  });

  test.each(cases)('$name: each endpoint is in a list that is used, or has a reason', (c) => {
    const plan = planOf(c);
    for (const list of ['cluster', 'local'] as const) {
      const unused = plan.excluded.filter((e) => e.list === list).map(({ endpoint }) => endpoint.address);
      const all = Object.keys(c.endpoints).map((last) => `10.1.2.${last}`);
      if (c[list] === undefined) expect(unused).toEqual([]);
      else expect([...plan[list].map(({ address }) => address), ...unused].sort()).toEqual(all.sort());
    }
  });
});

describe('reasons', () => {
  const reasonsOf = (c: Case) =>
    Object.fromEntries(
      planOf(c).excluded.map(({ list, endpoint, reason }) => [
        `${list} ${endpoint.address.slice(7)}`,
        reason,
      ]),
    );

  test('of conditions', () => {
    const endpoints = {
      0: {},
      1: unready,
      2: draining,
      3: { ready: false, serving: false, terminating: true },
    };
    expect(reasonsOf({ name: '', endpoints })).toEqual({
      'cluster 1': 'not-ready',
      'cluster 2': 'terminating',
      'cluster 3': 'not-serving',
    });
  });

  test('of hints', () => {
    expect(reasonsOf({ name: '', zone: 'a', endpoints: fourZones })).toEqual({
      'cluster 4': 'other-zone',
      'cluster 5': 'other-zone',
    });
    expect(reasonsOf({ name: '', zone: 'a', endpoints: fourNodes })).toEqual({
      'cluster 4': 'node-hint',
      'cluster 5': 'node-hint',
      'cluster 6': 'node-hint',
    });
  });

  test('of locality, per list', () => {
    const endpoints = { 0: here, 1: {}, 2: { ...here, ...unready } };
    expect(reasonsOf({ name: '', external: true, etp: 'Local', endpoints })).toEqual({
      'cluster 2': 'not-ready',
      'local 1': 'other-node',
      'local 2': 'not-ready',
    });
  });
});
