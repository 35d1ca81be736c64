import { describe, expect, it } from 'vitest';
import type { EndpointSlice } from '../../../src/model/endpoint.js';
import { convertEndpointSlice } from '../../../src/sources/convert.js';
import { createInterner } from '../../../src/sources/intern.js';

type Fields = Record<string, unknown>;

function object(more: Fields = {}, labels: Fields = { 'kubernetes.io/service-name': 'svc' }): Fields {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace: 'ns', name: 'svc-1', labels },
    addressType: 'IPv4',
    ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
    endpoints: [{ addresses: ['10.1.0.1'] }],
    ...more,
  };
}

function converted(input: unknown): EndpointSlice {
  const result = convertEndpointSlice(input, '');
  if (!('slice' in result)) throw new Error(`no slice: ${JSON.stringify(result)}`);
  expect(result.problems).toEqual([]);
  return result.slice;
}

describe('convertEndpointSlice()', () => {
  it('takes everything that a proxy uses', () => {
    const endpoint = {
      addresses: ['10.1.0.1', '10.1.0.2'],
      conditions: { ready: false, serving: true, terminating: true },
      nodeName: 'node-1',
      hostname: 'h',
      zone: 'a',
      targetRef: { kind: 'Pod', namespace: 'ns', name: 'svc-abc' },
      hints: { forZones: [{ name: 'a' }, { name: 'b' }], forNodes: [{ name: 'node-1' }] },
    };
    expect(converted(object({ endpoints: [endpoint] }))).toEqual({
      namespace: 'ns',
      name: 'svc-1',
      service: 'ns/svc',
      family: 'IPv4',
      ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
      endpoints: [
        {
          address: '10.1.0.1',
          ready: false,
          serving: true,
          terminating: true,
          nodeName: 'node-1',
          pod: 'svc-abc',
          zoneHints: ['a', 'b'],
          nodeHints: ['node-1'],
        },
      ],
    });
  });

  // discovery.k8s.io/v1: nil ready and serving mean true, nil terminating means false.
  const conditions: readonly (readonly [unknown, boolean, boolean, boolean])[] = [
    [undefined, true, true, false],
    [null, true, true, false],
    [{}, true, true, false],
    [{ ready: null, serving: null, terminating: null }, true, true, false],
    [{ ready: false }, false, true, false],
    [{ ready: false, serving: false }, false, false, false],
    [{ serving: false }, true, false, false],
    [{ ready: false, serving: true, terminating: true }, false, true, true],
  ];
  it.each(conditions)(
    'conditions %j: ready %s, serving %s, terminating %s',
    (given, ready, serving, terminating) => {
      const [endpoint] = converted(
        object({ endpoints: [{ addresses: ['10.1.0.1'], conditions: given }] }),
      ).endpoints;
      expect(endpoint).toMatchObject({
        ready,
        serving,
        terminating,
        nodeName: '',
        pod: '',
        zoneHints: [],
        nodeHints: [],
      });
    },
  );

  it('leaves out ports without a number; without a name or protocol they have the defaults of the API', () => {
    const ports = [
      { port: 80 },
      { name: 'all' },
      { name: 'nil', port: null },
      { name: 'zero', port: 0 },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ];
    expect(converted(object({ ports })).ports).toEqual([
      { name: '', protocol: 'TCP', port: 80 },
      { name: 'dns', protocol: 'UDP', port: 53 },
    ]);
    expect(converted(object({ ports: null })).ports).toEqual([]);
  });

  it('takes IPv6 slices, and slices without endpoints', () => {
    expect(converted(object({ addressType: 'IPv6', endpoints: [{ addresses: ['fd00::1'] }] }))).toMatchObject(
      { family: 'IPv6' },
    );
    expect(converted(object({ endpoints: null })).endpoints).toEqual([]);
    expect(converted(object({ endpoints: [] })).endpoints).toEqual([]);
  });

  it('keeps addresses as they are written, and endpoints that are there twice', () => {
    const endpoints = [
      { addresses: ['10.1.0.041'] },
      { addresses: ['nonsense'] },
      { addresses: ['10.1.0.041'] },
    ];
    expect(converted(object({ endpoints })).endpoints.map((one) => one.address)).toEqual([
      '10.1.0.041',
      'nonsense',
      '10.1.0.041',
    ]);
  });

  const ignored: readonly (readonly [string, Fields])[] = [
    ['no Service', object({}, {})],
    ['an empty Service name', object({}, { 'kubernetes.io/service-name': '' })],
    ['headless', object({}, { 'kubernetes.io/service-name': 'svc', 'service.kubernetes.io/headless': '' })],
    [
      'names instead of addresses',
      object({ addressType: 'FQDN', endpoints: [{ addresses: ['a.example'] }] }),
    ],
  ];
  it.each(ignored)('%s: not for a proxy', (_name, input) => {
    expect(convertEndpointSlice(input, '')).toHaveProperty('ignored');
  });

  const wrong: readonly (readonly [unknown, string])[] = [
    [undefined, 'EndpointSlice: undefined is not an object'],
    [{}, 'metadata.name: is missing'],
    [
      object({}, { 'kubernetes.io/service-name': 5 }),
      'metadata.labels.kubernetes.io/service-name: 5 is not a string',
    ],
    [object({ addressType: undefined }), 'addressType: is missing'],
    [object({ addressType: 'IPX' }), 'addressType: "IPX" is none of IPv4, IPv6, FQDN'],
    [object({ ports: 'x' }), 'ports: "x" is not a list'],
    [object({ ports: [{ port: 70000 }] }), 'ports[0].port: 70000 is not a port (0-65535)'],
    [object({ endpoints: {} }), 'endpoints: {} is not a list'],
  ];
  it.each(wrong)('%j: %s', (input, problem) => {
    expect(convertEndpointSlice(input, '')).toEqual({ problem });
  });

  const badEndpoints: readonly (readonly [unknown, string])[] = [
    [null, 'endpoints[1]: null is not an object'],
    [5, 'endpoints[1]: 5 is not an object'],
    [{}, 'endpoints[1].addresses: undefined is not a list with an address'],
    [{ addresses: [] }, 'endpoints[1].addresses: [] is not a list with an address'],
    [{ addresses: '10.1.0.1' }, 'endpoints[1].addresses: "10.1.0.1" is not a list with an address'],
    [{ addresses: [7] }, 'endpoints[1].addresses[0]: 7 is not an address'],
    [
      { addresses: ['10.1.0.2'], conditions: { ready: 'yes' } },
      'endpoints[1].conditions.ready: "yes" is neither true nor false',
    ],
    [{ addresses: ['10.1.0.2'], nodeName: 1 }, 'endpoints[1].nodeName: 1 is not a string'],
    [
      { addresses: ['10.1.0.2'], hints: { forZones: [{}] } },
      'endpoints[1].hints.forZones[0].name: is missing',
    ],
  ];
  it.each(badEndpoints)('one bad endpoint %j does not lose the slice', (bad, problem) => {
    const result = convertEndpointSlice(
      object({ endpoints: [{ addresses: ['10.1.0.1'] }, bad, { addresses: ['10.1.0.3'] }] }),
      '',
    );
    expect(result).toMatchObject({ problems: [`${problem}; endpoint left out`] });
    expect('slice' in result && result.slice.endpoints.map((one) => one.address)).toEqual([
      '10.1.0.1',
      '10.1.0.3',
    ]);
  });

  it('does not list thousands of bad endpoints', () => {
    const result = convertEndpointSlice(object({ endpoints: new Array(1000).fill({}) }), '');
    expect('slice' in result && result.problems.length).toBe(6);
    expect('slice' in result && result.problems.at(-1)).toBe('endpoints: 995 more left out');
  });

  it('shares what many endpoints have in common', () => {
    const interner = createInterner();
    // Strings as they come from the wire: equal, but never the same.
    const parse = (name: string) => {
      const text = JSON.stringify(
        object({
          endpoints: [{ addresses: ['10.1.0.1'], nodeName: name, hints: { forZones: [{ name: 'zone-a' }] } }],
        }),
      );
      const result = convertEndpointSlice(JSON.parse(text), '', interner);
      if (!('slice' in result)) throw new Error('no slice');
      return result.slice.endpoints[0]!;
    };
    expect(parse('node-1').zoneHints).toBe(parse('node-2').zoneHints);
    expect(parse('node-1').nodeHints).toBe(parse('node-2').nodeHints);
  });

  it('takes 100,000 endpoints in one slice', () => {
    const endpoints = Array.from({ length: 100_000 }, (_, i) => ({
      addresses: [`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`],
    }));
    expect(converted(object({ endpoints })).endpoints.length).toBe(100_000);
  });
});
