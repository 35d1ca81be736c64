import { describe, expect, it } from 'vitest';
import { convertNode, convertServiceCIDR } from '../../../src/sources/convert.js';

describe('convertNode()', () => {
  it('takes zone, addresses and pod ranges', () => {
    const object = {
      metadata: { name: 'node-1', labels: { 'topology.kubernetes.io/zone': 'a', other: 'b' } },
      spec: { podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24', 'fd00:1::/64'] },
      status: {
        addresses: [
          { type: 'InternalIP', address: '192.168.0.2' },
          { type: 'Hostname', address: 'node-1' },
        ],
      },
    };
    expect(convertNode(object, '')).toMatchObject({
      node: {
        name: 'node-1',
        zone: 'a',
        addresses: [
          { type: 'InternalIP', address: '192.168.0.2' },
          { type: 'Hostname', address: 'node-1' },
        ],
        podCIDRs: ['10.1.0.0/24', 'fd00:1::/64'],
      },
    });
  });

  it('takes a node that says nothing, and one from before dual stack', () => {
    const bare = { node: { name: 'n', zone: '', addresses: [], podCIDRs: [] } };
    expect(convertNode({ metadata: { name: 'n' } }, '')).toMatchObject(bare);
    expect(convertNode({ metadata: { name: 'n' }, spec: { podCIDR: '10.1.0.0/24' } }, '')).toMatchObject({
      node: { podCIDRs: ['10.1.0.0/24'] },
    });
  });

  const wrong: readonly (readonly [unknown, string])[] = [
    [3, 'Node: 3 is not an object'],
    [
      { metadata: { name: 'n', labels: { 'topology.kubernetes.io/zone': 1 } } },
      'metadata.labels.topology.kubernetes.io/zone: 1 is not a string',
    ],
    [
      { metadata: { name: 'n' }, status: { addresses: [{ address: 1 }] } },
      'status.addresses[0].address: 1 is not a string',
    ],
    [{ metadata: { name: 'n' }, spec: { podCIDRs: [1] } }, 'spec.podCIDRs[0]: 1 is not a string'],
  ];
  it.each(wrong)('%j: %s', (input, problem) => {
    expect(convertNode(input, '')).toEqual({ problem });
  });
});

describe('convertServiceCIDR()', () => {
  it('takes its ranges', () => {
    const object = { metadata: { name: 'kubernetes' }, spec: { cidrs: ['10.96.0.0/16', 'fd00::/112'] } };
    expect(convertServiceCIDR(object, '')).toMatchObject({
      serviceCIDR: { name: 'kubernetes', cidrs: ['10.96.0.0/16', 'fd00::/112'] },
    });
  });

  it('names what is wrong', () => {
    expect(convertServiceCIDR({ metadata: { name: 'k' }, spec: { cidrs: '10.96.0.0/16' } }, '')).toEqual({
      problem: 'spec.cidrs: "10.96.0.0/16" is not a list',
    });
  });
});
