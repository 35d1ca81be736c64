import { describe, expect, test } from 'vitest';
import { classifyDevice, globMatches, isLocalPodDevice } from '../../../src/agent/devices.js';
import type { Link } from '../../../src/agent/rtnetlink.js';

const device = (over: Partial<Link>): Link => ({
  index: 7,
  name: 'eth0',
  kind: '',
  slaveKind: '',
  master: 0,
  lower: 0,
  hardware: 1,
  up: true,
  ...over,
});
const none = { include: [], exclude: [] };

describe('classifyDevice()', () => {
  test.each([
    ['a physical uplink', {}, true],
    ["the host end of a pod's veth", { kind: 'veth' }, true],
    ['a veth that is a bridge port', { kind: 'veth', slaveKind: 'bridge', master: 3 }, true],
    ['a bond', { kind: 'bond' }, true],
    ['a VLAN', { kind: 'vlan' }, true],
    ['WireGuard', { kind: 'wireguard', hardware: 65_534 }, true],
    ['ipip', { kind: 'ipip', hardware: 768 }, true],
    ['loopback', { hardware: 772 }, false],
    ['a slave of a bond', { slaveKind: 'bond', master: 3 }, false],
    ['a bridge', { kind: 'bridge' }, false],
    ['VXLAN', { kind: 'vxlan' }, false],
    ['Geneve', { kind: 'geneve' }, false],
    ['ipvlan', { kind: 'ipvlan' }, false],
    ['kube-ipvs0, a dummy', { kind: 'dummy', name: 'kube-ipvs0' }, false],
  ] as const)('%s', (_, over, serve) => {
    const verdict = classifyDevice(device(over), none);
    expect(verdict.serve).toBe(serve);
    expect(verdict.reason).not.toBe('');
  });

  test('tells devices without an Ethernet header', () => {
    expect(classifyDevice(device({ kind: 'wireguard', hardware: 65_534 }), none)).toMatchObject({
      ethernet: false,
    });
    expect(classifyDevice(device({ kind: 'veth' }), none)).toMatchObject({ ethernet: true });
  });

  test('patterns go over types, and exclude over include', () => {
    expect(
      classifyDevice(device({ kind: 'dummy', name: 'dum7' }), { include: ['dum*'], exclude: [] }).serve,
    ).toBe(true);
    expect(classifyDevice(device({ name: 'eth1' }), { include: ['eth*'], exclude: ['eth1'] }).serve).toBe(
      false,
    );
  });

  test('loopback cannot be included', () => {
    expect(classifyDevice(device({ name: 'lo', hardware: 772 }), { include: ['*'], exclude: [] }).serve).toBe(
      false,
    );
  });
});

test('globMatches() takes everything but * and ? literally', () => {
  expect(globMatches('veth*', 'veth12ab')).toBe(true);
  expect(globMatches('eth?', 'eth10')).toBe(false);
  expect(globMatches('eth0.100', 'eth0x100')).toBe(false);
  expect(globMatches('cali[1]', 'cali1')).toBe(false);
});

describe('isLocalPodDevice()', () => {
  test('bridge: the bridge and its ports', () => {
    const detector = { mode: 'bridge', value: 'cni0' } as const;
    expect(isLocalPodDevice(device({ name: 'veth1' }), 'cni0', detector)).toBe(true);
    expect(isLocalPodDevice(device({ name: 'veth1' }), 'br0', detector)).toBe(false);
    expect(isLocalPodDevice(device({ name: 'cni0', kind: 'bridge' }), '', detector)).toBe(true);
  });

  test('prefix: by name', () => {
    expect(isLocalPodDevice(device({ name: 'cali12' }), '', { mode: 'prefix', value: 'cali' })).toBe(true);
    expect(isLocalPodDevice(device({ name: 'eth0' }), '', { mode: 'prefix', value: 'cali' })).toBe(false);
  });

  test('none: nobody', () => {
    expect(isLocalPodDevice(device({ name: 'cali12' }), 'cni0', { mode: 'none', value: '' })).toBe(false);
  });
});
