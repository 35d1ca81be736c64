// connect(): TCP and connected UDP, both families and mapped addresses, and what the process is told afterwards.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openStage, type Stage } from './harness.js';
import { buildClient, type Client, LAB, type Lab, openLab } from './lab.js';

let lab: Lab;
let stage: Stage;
let pod: Client;

beforeAll(async () => {
  buildClient();
  lab = await openLab();
  stage = await openStage(lab);
  pod = lab.client('pod');
});

afterAll(async () => {
  stage?.close();
  await lab?.close();
});

beforeEach(() => stage.reset());

const [vip4, other4] = LAB.vip4;
const [vip6] = LAB.vip6;

const calls = [
  { name: 'IPv4', family: 4, address: vip4, own: LAB.pod4, backend: LAB.backend4.a, entryFamily: 4 },
  { name: 'IPv6', family: 6, address: vip6, own: LAB.pod6, backend: LAB.backend6.a, entryFamily: 6 },
  {
    name: 'IPv4-mapped IPv6',
    family: 6,
    address: `::ffff:${vip4}`,
    own: `::ffff:${LAB.pod4}`,
    backend: LAB.backend4.a,
    entryFamily: 6,
  },
].flatMap((call) => (['tcp', 'udp'] as const).map((type) => ({ ...call, type })));

describe.each(calls)('$type connect() to $name', ({ type, family, address, own, backend, entryFamily }) => {
  const frontend = address.replace('::ffff:', '');

  it('reaches the backend, and the process sees the Service and its own address', async () => {
    const service = await stage.publish({ frontends: [{ address: frontend }], cluster: ['a'] });
    expect(await pod.script(`socket 0 ${type} ${family}`, `connect 0 ${address} 80`)).toEqual(['ok', 'ok']);
    expect(await pod.run('peer 0')).toBe(`ok ${address} 80`);
    if (type === 'udp') await pod.run('send 0 hello');
    const port = (await pod.run('name 0')).match(new RegExp(`^ok ${own} (\\d+)$`))?.[1];
    // The backend sees the pod itself: the socket hook never masquerades.
    const greeting = `a ${own.replace('::ffff:', '')} ${port}`;
    expect(await pod.run('receive 0')).toBe(
      type === 'udp' ? `ok ${address} 80 ${greeting}` : `ok ? 0 ${greeting}`,
    );

    const cookie = BigInt((await pod.run('cookie 0')).split(' ')[1]!);
    expect(await stage.sockets()).toMatchObject([
      {
        cookie,
        frontend,
        backend,
        frontendPort: 80,
        backendPort: LAB.backendPort,
        service: service.id,
        proto: type === 'tcp' ? 6 : 17,
        family: entryFamily,
        netns: stage.podCookie,
      },
    ]);
    expect(await stage.served(service)).toBe(1);
    expect(await pod.run('close 0')).toBe('ok');
    expect(await stage.sockets()).toEqual([]);
  });

  it('is refused where a Service has no endpoint', async () => {
    const service = await stage.publish({ frontends: [{ address: frontend }], cluster: [] });
    expect(await pod.script(`socket 0 ${type} ${family}`, `connect 0 ${address} 80`)).toEqual([
      'ok',
      'error ECONNREFUSED',
    ]);
    expect(await stage.reasons()).toEqual({ 'reject-no-endpoint': 1 });
    expect((await stage.stats(service)).rejected).toBe(1);
    await pod.run('close 0');
  });
});

describe('connect()', () => {
  it('leaves an address alone that is no Service, and keeps no entry', async () => {
    await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
    expect(await pod.tally(`ask tcp ${other4} 80 2`)).toEqual(new Map([['vip', 2]]));
    expect(await pod.tally(`ask tcp ${LAB.backend4.b} 8080 2`)).toEqual(new Map([['b', 2]]));
    expect(await stage.sockets()).toEqual([]);
    expect(await stage.reasons()).toEqual({});
  });

  it('tells TCP from UDP on the same port', async () => {
    await stage.publish({ frontends: [{ address: vip4, protocols: ['tcp'] }], cluster: ['a'] });
    await stage.publish({ frontends: [{ address: vip4, protocols: ['udp'] }], cluster: ['b'] });
    expect(await pod.tally(`ask tcp ${vip4} 80 3`)).toEqual(new Map([['a', 3]]));
    expect(await pod.tally(`ask udp-connected ${vip4} 80 3`)).toEqual(new Map([['b', 3]]));
  });

  it('translates a connection that sendto(MSG_FASTOPEN) opens', async () => {
    await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
    const answers = await pod.script(
      'socket 0 tcp 4',
      `fastopen 0 ${vip4} 80 early`,
      'receive 0',
      'peer 0',
      'close 0',
    );
    expect(answers[2]).toMatch(/^ok \? 0 a /);
    expect(answers[3]).toBe(`ok ${vip4} 80`);
  });

  it('translates MPTCP, whose subflows are sockets of the kernel, without an entry that would never go', async (test) => {
    const service = await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
    if ((await pod.run('socket 0 mptcp 4')) !== 'ok') return test.skip('this kernel has no CONFIG_MPTCP');
    expect(await pod.run(`connect 0 ${vip4} 80`)).toBe('ok');
    expect(await pod.run('receive 0')).toMatch(/ a /);
    expect(await stage.sockets()).toEqual([]);
    expect(await stage.served(service)).toBe(1);
    await pod.run('close 0');
  });

  it('replaces the entry when a socket connects again, and removes it for an address that is no Service', async () => {
    await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
    await stage.publish({ frontends: [{ address: other4 }], cluster: ['b'] });
    await pod.script('socket 0 udp 4', `connect 0 ${vip4} 80`);
    expect(await stage.sockets()).toMatchObject([{ frontend: vip4, backend: LAB.backend4.a }]);
    expect(await pod.run(`connect 0 ${other4} 80`)).toBe('ok');
    expect(await stage.sockets()).toMatchObject([{ frontend: other4, backend: LAB.backend4.b }]);
    expect(await pod.run(`connect 0 ${LAB.backend4.c} 8080`)).toBe('ok');
    expect(await stage.sockets()).toEqual([]);
    expect(await pod.run('peer 0')).toBe(`ok ${LAB.backend4.c} 8080`);
    await pod.run('close 0');
  });

  it('keeps the old connection, and its entry, when a second connect() is refused', async () => {
    await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
    await stage.publish({ frontends: [{ address: other4 }], cluster: [] });
    const answers = await pod.script(
      'socket 0 udp 4',
      `connect 0 ${vip4} 80`,
      `connect 0 ${other4} 80`,
      'peer 0',
    );
    expect(answers.slice(2)).toEqual(['error ECONNREFUSED', `ok ${vip4} 80`]);
    await pod.run('close 0');
  });

  it('tells the real peer when the kernel refused what was translated', async () => {
    await stage.publish({ frontends: [{ address: vip4 }], cluster: ['x'] });
    const host = lab.client('host');
    await host.script('socket 0 udp 4', `connect 0 ${LAB.backend4.b} 8080`);
    expect(await host.run(`connect 0 ${vip4} 80`)).toBe('error ENETUNREACH');
    expect(await host.run('peer 0')).toBe(`ok ${LAB.backend4.b} 8080`);
    await host.end();
  });

  it('serves TCP sockets that disconnect and connect elsewhere', async () => {
    await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
    await pod.script('socket 0 tcp 4', `connect 0 ${vip4} 80`, 'disconnect 0');
    expect(await pod.run('peer 0')).toBe('error ENOTCONN');
    expect(await pod.run(`connect 0 ${LAB.backend4.b} 8080`)).toBe('ok');
    expect(await pod.run('peer 0')).toBe(`ok ${LAB.backend4.b} 8080`);
    expect(await stage.sockets()).toEqual([]);
    await pod.run('close 0');
  });

  it('connects two sockets of one port to two Services', async () => {
    await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
    await stage.publish({ frontends: [{ address: other4 }], cluster: ['b'] });
    for (const slot of [0, 1]) {
      await pod.script(`socket ${slot} tcp 4`, `option ${slot} reuseaddr`, `option ${slot} reuseport`);
      expect(await pod.run(`bind ${slot} ${LAB.pod4} 12345`)).toBe('ok');
    }
    expect(await pod.script(`connect 0 ${vip4} 80`, `connect 1 ${other4} 80`)).toEqual(['ok', 'ok']);
    expect(await pod.script('peer 0', 'peer 1')).toEqual([`ok ${vip4} 80`, `ok ${other4} 80`]);
    expect(await pod.script('receive 0', 'receive 1')).toEqual([
      `ok ? 0 a ${LAB.pod4} 12345`,
      `ok ? 0 b ${LAB.pod4} 12345`,
    ]);
    await pod.script('close 0', 'close 1');
  });

  it('cannot give one port two connections to one backend: the kernel refuses the second', async () => {
    await stage.publish({ frontends: [{ address: vip4 }, { address: other4 }], cluster: ['a'] });
    for (const slot of [0, 1]) {
      await pod.script(`socket ${slot} tcp 4`, `option ${slot} reuseaddr`, `option ${slot} reuseport`);
      await pod.run(`bind ${slot} ${LAB.pod4} 12346`);
    }
    expect(await pod.script(`connect 0 ${vip4} 80`, `connect 1 ${other4} 80`)).toEqual([
      'ok',
      'error EADDRNOTAVAIL',
    ]);
    await pod.script('close 0', 'close 1');
    expect(await stage.sockets()).toEqual([]);
  });

  it('does not touch processes outside the cgroup', async () => {
    const service = await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
    const outsider = lab.client('pod', 'outside');
    expect(await outsider.tally(`ask tcp ${vip4} 80 3`)).toEqual(new Map([['vip', 3]]));
    expect(await outsider.tally(`ask udp ${vip4} 80 3`)).toEqual(new Map([['vip', 3]]));
    expect(await stage.served(service)).toBe(0);
    await outsider.end();
  });

  it('leaves no entry behind when a process is killed', async () => {
    await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
    const victim = lab.client('pod');
    await victim.script('socket 0 tcp 4', `connect 0 ${vip4} 80`, 'socket 1 udp 4', `connect 1 ${vip4} 80`);
    expect(await stage.sockets()).toHaveLength(2);
    await victim.end();
    expect(await stage.sockets()).toEqual([]);
  });
});

describe('a full table of sockets', () => {
  it('translates TCP without an entry, and leaves UDP to the packet path', async () => {
    const small = await openStage(lab, { maxSockets: 1 });
    try {
      const service = await small.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
      await pod.script('socket 0 tcp 4', `connect 0 ${vip4} 80`);
      expect(await small.sockets()).toHaveLength(1);
      expect(await pod.tally(`ask tcp ${vip4} 80 2`)).toEqual(new Map([['a', 2]]));
      expect(await pod.tally(`ask udp-connected ${vip4} 80 2`)).toEqual(new Map([['vip', 2]]));
      expect(await small.reasons()).toEqual({ 'socket-table-full': 4 });
      expect(await small.served(service)).toBe(3);
      await pod.run('close 0');
      expect(await pod.tally(`ask udp-connected ${vip4} 80 2`)).toEqual(new Map([['a', 2]]));
    } finally {
      small.close();
    }
  });
});
