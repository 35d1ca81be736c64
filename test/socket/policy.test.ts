// Who gets which endpoint, and what the socket hook leaves to the packet path (a server behind the address answers `vip`).

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FrontendFlags as Flag, Kind } from '../../src/abi/layout.gen.js';
import { openStage, type Stage } from './harness.js';
import { buildClient, type Client, LAB, type Lab, openLab } from './lab.js';

let lab: Lab;
let stage: Stage;
let pod: Client;
let host: Client;

beforeAll(async () => {
  buildClient();
  lab = await openLab();
  stage = await openStage(lab);
  pod = lab.client('pod');
  host = lab.client('host');
});

afterAll(async () => {
  stage?.close();
  await lab?.close();
});

beforeEach(() => stage.reset());

const [vip4] = LAB.vip4;
const [vip6] = LAB.vip6;
const TYPES = ['tcp', 'udp', 'udp-connected'];

/** The letters of those who answered. */
async function reached(
  client: Client,
  address: string,
  port: number = LAB.port,
  count = 12,
): Promise<string> {
  const letters = new Set<string>();
  for (const type of TYPES) {
    for (const name of (await client.tally(`ask ${type} ${address} ${port} ${count}`)).keys())
      letters.add(name);
  }
  return [...letters].sort().join(' ');
}

describe('left to the packet path', () => {
  it.each([
    ['a frontend that is none of the socket hook', Flag.NO_SOCKET],
    ['a frontend with source ranges', Flag.SOURCE_RANGES],
    ['a frontend for loopback at another address', Flag.LOCALHOST],
  ])('%s', async (_name, flags) => {
    const service = await stage.publish({ frontends: [{ address: vip4, flags }], cluster: ['a'] });
    expect(await reached(pod, vip4, 80, 2)).toBe('vip');
    expect(await reached(host, vip4, 80, 2)).toBe('vip');
    expect(await stage.served(service)).toBe(0);
    expect(await stage.sockets()).toEqual([]);
  });

  it('sockets of an excluded network namespace, and of that one only', async () => {
    await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
    stage.exclude(stage.podCookie);
    expect(await reached(pod, vip4, 80, 2)).toBe('vip');
    expect(await reached(host, vip4, 80, 2)).toBe('a');
  });

  it('link-local addresses, whatever the table says', async () => {
    const service = await stage.publish({ frontends: [{ address: LAB.link4 }], cluster: ['a'] });
    expect(await reached(host, LAB.link4, 80, 2)).toBe('link');
    await stage.publish({ frontends: [{ address: 'fe80::1' }], cluster: ['a'] });
    // Without a scope id the kernel refuses it; translated it would connect.
    expect(await host.script('socket 0 tcp 6', 'connect 0 fe80::1 80')).toEqual(['ok', 'error EINVAL']);
    expect(await stage.served(service)).toBe(0);
    await host.run('close 0');
  });

  it('a frontend under policy Local without a local endpoint: silence is for the packet path to keep', async () => {
    const flags = Flag.LOCAL | Flag.HAS_ENDPOINTS;
    const service = await stage.publish({ frontends: [{ address: vip4, flags }], cluster: ['a'], local: [] });
    expect(await reached(pod, vip4, 80, 2)).toBe('vip');
    expect(await stage.reasons()).toEqual({});
    expect(await stage.stats(service)).toMatchObject({ rejected: 0, dropped: 0 });
  });

  it('a slot of another owner, after a second look at the frontend', async () => {
    const service = await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
    stage.takeSlot(service, 0);
    expect(await pod.tally(`ask tcp ${vip4} 80 2`)).toEqual(new Map([['vip', 2]]));
    stage.dropSlot(service, 0);
    expect(await pod.tally(`ask udp ${vip4} 80 1`)).toEqual(new Map([['vip', 1]]));
    expect(await stage.reasons()).toEqual({ 'drop-stale-slot': 3 });
  });
});

describe('loopback', () => {
  const port = LAB.nodePort;

  it('serves a node port on a loopback address to the host', async () => {
    const frontend = { address: '127.0.0.1', port, kind: Kind.NODE_PORT, flags: Flag.LOCALHOST };
    await stage.publish({ frontends: [frontend], cluster: ['a'] });
    expect(await reached(host, '127.0.0.1', port, 2)).toBe('a');
  });

  it("serves it to no other network namespace: there it is that namespace's own", async () => {
    const frontend = { address: '127.0.0.1', port, kind: Kind.NODE_PORT, flags: Flag.LOCALHOST };
    await stage.publish({ frontends: [frontend], cluster: ['a'] });
    const server = lab.client('pod', 'outside');
    expect(await server.run(`serve 127.0.0.1 ${port} own`)).toBe('ok');
    expect(await reached(pod, '127.0.0.1', port, 2)).toBe('own');
    await server.end();
  });

  it('never touches a loopback address without that flag', async () => {
    await stage.publish({ frontends: [{ address: '127.0.0.1', port }], cluster: ['a'] });
    expect(await reached(host, '127.0.0.1', port, 2)).toBe('loopback');
  });
});

describe('traffic policy', () => {
  const external = { address: vip4, kind: Kind.LOAD_BALANCER };
  const cluster = ['a', 'b'] as const;
  const local = ['c'] as const;

  it('Cluster: everybody gets the cluster list', async () => {
    await stage.publish({ frontends: [external], cluster, local });
    expect(await reached(host, vip4)).toBe('a b');
    expect(await reached(pod, vip4)).toBe('a b');
  });

  it('Local, without a detector of local pods: the host is short-circuited, a pod is not', async () => {
    await stage.publish({ frontends: [{ ...external, flags: Flag.LOCAL }], cluster, local });
    expect(await reached(host, vip4)).toBe('a b');
    expect(await reached(pod, vip4)).toBe('c');
  });

  it('Local, with a detector: pods are short-circuited, too', async () => {
    const flags = Flag.LOCAL | Flag.SHORT_CIRCUIT;
    await stage.publish({ frontends: [{ ...external, flags }], cluster, local: [] });
    expect(await reached(host, vip4)).toBe('a b');
    expect(await reached(pod, vip4)).toBe('a b');
  });

  it('internalTrafficPolicy Local is never short-circuited', async () => {
    const flags = Flag.LOCAL | Flag.SHORT_CIRCUIT;
    await stage.publish({ frontends: [{ address: vip4, flags }], cluster, local });
    expect(await reached(host, vip4)).toBe('c');
    expect(await reached(pod, vip4)).toBe('c');
  });

  it('refuses under policy Local where no endpoint is usable anywhere', async () => {
    await stage.publish({ frontends: [{ ...external, flags: Flag.LOCAL }], cluster: [], local: [] });
    expect(await reached(pod, vip4, 80, 1)).toBe('ECONNREFUSED');
    expect(await reached(host, vip4, 80, 1)).toBe('ECONNREFUSED');
  });
});

describe('session affinity', () => {
  const all = ['a', 'b', 'c', 'd'] as const;

  it('keeps a network namespace at one endpoint, over TCP, UDP and families of calls', async () => {
    await stage.publish({ frontends: [{ address: vip4 }], cluster: all, affinity: 60 });
    expect(await reached(pod, vip4)).toMatch(/^[abcd]$/);
    expect(await reached(pod, `::ffff:${vip4}`)).toBe(await reached(pod, vip4));
    expect(await reached(host, vip4)).toMatch(/^[abcd]$/);
    expect((await stage.affinities()).map((entry) => entry.netns).sort()).toEqual(
      [stage.podCookie, stage.hostCookie].sort(),
    );
  });

  it.each([vip4, vip6])('follows the entry while its window is open, and not afterwards: %s', async (vip) => {
    const service = await stage.publish({ frontends: [{ address: vip }], cluster: all, affinity: 60 });
    const seen = new Set<string>();
    for (let i = 0; i < 16; i++) {
      stage.setAffinity(service, stage.podCookie, 'c', 59);
      expect(await pod.tally(`ask tcp ${vip} 80 1`)).toEqual(new Map([['c', 1]]));
      stage.setAffinity(service, stage.podCookie, 'c', 61);
      for (const name of (await pod.tally(`ask tcp ${vip} 80 1`)).keys()) seen.add(name);
    }
    expect(seen.size).toBeGreaterThan(1);
  });

  it('holds for an entry that another CPU wrote a moment later than this call read the clock', async () => {
    const service = await stage.publish({ frontends: [{ address: vip4 }], cluster: all, affinity: 60 });
    for (let i = 0; i < 12; i++) {
      stage.setAffinity(service, stage.podCookie, 'c', -1);
      expect(await pod.tally(`ask tcp ${vip4} 80 1`)).toEqual(new Map([['c', 1]]));
    }
  });

  it('opens the window anew with each connection', async () => {
    const service = await stage.publish({ frontends: [{ address: vip4 }], cluster: all, affinity: 60 });
    stage.setAffinity(service, stage.podCookie, 'c', 59);
    await pod.tally(`ask tcp ${vip4} 80 1`);
    expect((await stage.affinities())[0]!.ageSeconds).toBeLessThan(2);
  });

  it('breaks when the endpoint leaves the list', async () => {
    const service = await stage.publish({ frontends: [{ address: vip4 }], cluster: all, affinity: 60 });
    stage.setAffinity(service, stage.podCookie, 'c', 0);
    await stage.switchTo(service, ['a', 'b']);
    const before = await reached(pod, vip4);
    expect(before).toMatch(/^[ab]$/);
    await stage.switchTo(service, all);
    expect(await reached(pod, vip4)).toBe(before);
  });
});
