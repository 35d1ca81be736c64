// Slices become endpoints: merged, deduplicated, sorted; as kube-proxy's endpointslicecache tests have it.

import { describe, expect, test } from 'vitest';
import { compile } from '../../../src/compile/compile.js';
import type { EndpointSlice } from '../../../src/model/endpoint.js';
import { makeContext, makeEndpoint, makePort, makeService, makeSlice } from '../../helpers/model.js';

const service = makeService();
const show = (e: { address: string; port: number }) => `${e.address}:${e.port}`;
const portOf = (slices: readonly EndpointSlice[]) => compile(service, slices, makeContext()).ports[0]!;
const clusterOf = (slices: readonly EndpointSlice[]) => portOf(slices).cluster.map(show);

describe('merging slices', () => {
  test('a slice with several hosts and ports gives each port its endpoints', () => {
    const ports = [
      { name: 'http', protocol: 'TCP', port: 8080 },
      { name: 'https', protocol: 'TCP', port: 8443 },
    ] as const;
    const two = makeService({ ports: [makePort(), makePort({ name: 'https', port: 443 })] });
    const slice = makeSlice([makeEndpoint('10.0.1.2'), makeEndpoint('10.0.1.1')], { ports });
    const plan = compile(two, [slice], makeContext());
    expect(plan.ports.map((port) => [port.key, port.cluster.map(show)])).toEqual([
      ['shop/web:http/TCP/IPv4', ['10.0.1.1:8080', '10.0.1.2:8080']],
      ['shop/web:https/TCP/IPv4', ['10.0.1.1:8443', '10.0.1.2:8443']],
    ]);
  });

  test('slices of one port are united, each endpoint once', () => {
    const a = makeSlice([makeEndpoint('10.0.1.1'), makeEndpoint('10.0.1.2')]);
    const b = makeSlice([makeEndpoint('10.0.1.2'), makeEndpoint('10.0.1.3')], { name: 'web-2' });
    expect(clusterOf([a, b])).toEqual(['10.0.1.1:8080', '10.0.1.2:8080', '10.0.1.3:8080']);
    expect(clusterOf([b, a])).toEqual(clusterOf([a, b]));
  });

  test('one address with two ports is two endpoints', () => {
    const b = makeSlice([makeEndpoint('10.0.1.1')], {
      name: 'web-2',
      ports: [{ name: 'http', protocol: 'TCP', port: 8079 }],
    });
    expect(clusterOf([makeSlice([makeEndpoint('10.0.1.1')]), b])).toEqual(['10.0.1.1:8079', '10.0.1.1:8080']);
  });

  test('name and protocol find the port, its number does not', () => {
    const other = (name: string, protocol: 'TCP' | 'UDP') =>
      makeSlice([makeEndpoint('10.0.1.1')], {
        name: `${name}-${protocol}`,
        ports: [{ name, protocol, port: 80 }],
      });
    expect(clusterOf([other('web', 'TCP'), other('http', 'UDP')])).toEqual([]);
    expect(clusterOf([other('http', 'TCP')])).toEqual(['10.0.1.1:80']);
  });

  test('the other family is left out', () => {
    expect(clusterOf([makeSlice([makeEndpoint('fd00::1')], { family: 'IPv6' })])).toEqual([]);
  });

  test('of duplicates the one that is not terminating wins, whatever the order', () => {
    const draining = makeEndpoint('10.0.1.1', { ready: false, terminating: true, pod: 'old' });
    const a = makeSlice([makeEndpoint('10.0.1.1', { pod: 'new' })]);
    const b = makeSlice([draining], { name: 'a-first' });
    for (const slices of [
      [a, b],
      [b, a],
    ]) {
      expect(portOf(slices).cluster.map(({ pod }) => pod)).toEqual(['new']);
      expect(portOf(slices).excluded).toEqual([]);
    }
  });

  test('even when it is unready and the other one ready (publishNotReadyAddresses)', () => {
    const a = makeSlice([makeEndpoint('10.0.1.1', { terminating: true })]);
    const b = makeSlice([makeEndpoint('10.0.1.1', { ready: false })], { name: 'web-2' });
    expect(clusterOf([a, b])).toEqual([]);
  });

  test('of duplicates that do not terminate the ready one wins', () => {
    const a = makeSlice([makeEndpoint('10.0.1.1', { ready: false })]);
    const b = makeSlice([makeEndpoint('10.0.1.1')], { name: 'web-2' });
    expect(clusterOf([a, b])).toEqual(['10.0.1.1:8080']);
  });
});

describe('what an endpoint is', () => {
  test('addresses are canonical', () => {
    expect(clusterOf([makeSlice([makeEndpoint('10.0.001.010'), makeEndpoint('10.0.1.10')])])).toEqual([
      '10.0.1.10:8080',
    ]);
  });

  test('an invalid address is excluded with a reason, and named once', () => {
    const bad = ['web-7.local', '127.0.0.1', '169.254.1.1', '224.0.0.1', '0.0.0.0', 'fd00::1', ''];
    const plan = compile(
      service,
      [makeSlice([makeEndpoint('10.0.1.1'), ...bad.map((a) => makeEndpoint(a))])],
      makeContext(),
    );
    expect(plan.ports[0]!.cluster.map(show)).toEqual(['10.0.1.1:8080']);
    expect(plan.ports[0]!.excluded.map(({ endpoint, reason }) => [endpoint.address, reason])).toEqual(
      bad.map((address) => [address, 'invalid-address']),
    );
    expect(plan.issues).toEqual([
      {
        code: 'invalid-endpoint',
        message: 'EndpointSlice web-1: "web-7.local" is not a unicast IPv4 address (and 6 more); not used',
      },
    ]);
  });

  test('is on this node only where its slice says so', () => {
    const slice = makeSlice([
      makeEndpoint('10.0.1.1', { nodeName: 'node-1' }),
      makeEndpoint('10.0.1.2', { nodeName: '' }),
    ]);
    expect(portOf([slice]).cluster.map(({ onNode }) => onNode)).toEqual([true, false]);
    const nameless = compile(service, [slice], makeContext({ nodeName: '' })).ports[0]!;
    expect(nameless.cluster.map(({ onNode }) => onNode)).toEqual([false, false]);
  });

  test('that serves may keep its UDP flows, in a list or not', () => {
    const slice = makeSlice([
      makeEndpoint('10.0.1.1'),
      makeEndpoint('10.0.1.2', { ready: false, terminating: true }),
      makeEndpoint('10.0.1.3', { ready: false, serving: false, terminating: true }),
    ]);
    expect(portOf([slice]).cluster.map(show)).toEqual(['10.0.1.1:8080']);
    expect(portOf([slice]).serving.map(show)).toEqual(['10.0.1.1:8080', '10.0.1.2:8080']);
  });

  test('is one object in all lists', () => {
    const plan = portOf([makeSlice([makeEndpoint('10.0.1.1'), makeEndpoint('10.0.1.2', { ready: false })])]);
    expect(plan.serving.indexOf(plan.cluster[0]!)).toBe(0);
  });

  test('with a port out of range is left out', () => {
    const ports = [{ name: 'http', protocol: 'TCP', port: 70_000 }] as const;
    const plan = compile(service, [makeSlice([makeEndpoint('10.0.1.1')], { ports })], makeContext());
    expect(plan.ports[0]!.cluster).toEqual([]);
    expect(plan.issues.map(({ code }) => code)).toEqual(['invalid-endpoint']);
  });
});
