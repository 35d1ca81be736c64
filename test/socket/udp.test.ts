// Unconnected UDP: each datagram finds its backend, each answer comes from the Service; and connected UDP where it is off.

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
const [vip6, other6] = LAB.vip6;
const ALL = ['a', 'b', 'c', 'd'] as const;

/** Sends from a slot and says who answered, from which address: `a 10.96.0.10 80`. */
async function exchange(slot: number, address: string, port: number = LAB.port): Promise<string> {
  const sent = await pod.run(`sendto ${slot} ${address} ${port} hello`);
  if (sent !== 'ok') return sent;
  const [, from, fromPort, letter] = (await pod.run(`receive ${slot}`)).split(' ');
  return `${letter} ${from} ${fromPort}`;
}

describe.each([
  { name: 'IPv4', family: 4, first: vip4, second: other4, own: LAB.pod4 },
  { name: 'IPv6', family: 6, first: vip6, second: other6, own: LAB.pod6 },
  { name: 'IPv4-mapped IPv6', family: 6, first: `::ffff:${vip4}`, second: `::ffff:${other4}`, own: '' },
])('sendmsg() to $name', ({ family, first, second, own }) => {
  const plain = (address: string) => address.replace('::ffff:', '');

  it('reaches two Services from one socket, and each answers with its own address', async () => {
    const one = await stage.publish({ frontends: [{ address: plain(first) }], cluster: ['a'] });
    const two = await stage.publish({ frontends: [{ address: plain(second) }], cluster: ['b'] });
    await pod.run(`socket 0 udp ${family}`);
    await pod.script(`sendto 0 ${first} 80 x`, `sendto 0 ${second} 80 x`);
    const answers = await pod.script('receive 0', 'receive 0');
    expect(answers.map((answer) => answer.split(' ').slice(1, 4).join(' ')).sort()).toEqual(
      [`${first} 80 a`, `${second} 80 b`].sort(),
    );
    expect(await exchange(0, first)).toBe(`a ${first} 80`);
    expect([await stage.served(one), await stage.served(two)]).toEqual([1, 1]);
    expect(await pod.run('peer 0')).toBe('error ENOTCONN');
    await pod.run('close 0');
    // No connection: no entry there.
    expect(await stage.sockets()).toEqual([]);
  });

  it('stays with its backend while that one serves, and takes another when it does not', async () => {
    const service = await stage.publish({ frontends: [{ address: plain(first) }], cluster: ALL });
    await pod.run(`socket 0 udp ${family}`);
    const letter = (await exchange(0, first))[0] as 'a' | 'b' | 'c' | 'd';
    for (let i = 0; i < 8; i++) expect(await exchange(0, first)).toBe(`${letter} ${first} 80`);
    const rest = ALL.filter((other) => other !== letter);
    await stage.switchTo(service, rest);
    // Out of the list, but still serving (terminating): the flow goes on.
    expect(await exchange(0, first)).toBe(`${letter} ${first} 80`);
    expect(await stage.served(service)).toBe(1);
    stage.unlist(service, letter);
    const next = await exchange(0, first);
    expect(rest).toContain(next[0]);
    expect(next.slice(2)).toBe(`${first} 80`);
    expect(await exchange(0, first)).toBe(next);
    expect(await stage.reasons()).toEqual({ 'flow-reselected': 1 });
    expect(await stage.served(service)).toBe(2);
    await pod.run('close 0');
  });

  it('is refused where a Service has no endpoint', async () => {
    await stage.publish({ frontends: [{ address: plain(first) }], cluster: [] });
    await pod.run(`socket 0 udp ${family}`);
    expect(await exchange(0, first)).toBe('error ECONNREFUSED');
    expect(await stage.reasons()).toEqual({ 'reject-no-endpoint': 1 });
    await pod.run('close 0');
  });

  it('keeps a source address that comes as ancillary data', async () => {
    if (own === '') return;
    await stage.publish({ frontends: [{ address: plain(first) }], cluster: ['a'] });
    const [, sent, received] = await pod.script(
      `socket 0 udp ${family}`,
      `sendmsg 0 ${first} 80 hello ${own}`,
      'receive 0',
      'close 0',
    );
    expect(sent).toBe('ok');
    expect(received).toMatch(new RegExp(`^ok ${first} 80 a ${own} \\d+$`));
  });
});

describe('one backend behind two Services', () => {
  it('answers from the Service that the socket spoke to last', async () => {
    await stage.publish({ frontends: [{ address: vip4 }, { address: other4 }], cluster: ['a'] });
    await pod.run('socket 0 udp 4');
    for (let i = 0; i < 3; i++) {
      expect(await exchange(0, vip4)).toBe(`a ${vip4} 80`);
      expect(await exchange(0, other4)).toBe(`a ${other4} 80`);
    }
    expect(await stage.reasons()).toEqual({ 'flow-collision': 1 });
    await pod.run('close 0');
  });

  it('is avoided where there are others', async () => {
    await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
    await stage.publish({ frontends: [{ address: other4 }], cluster: ALL });
    let apart = 0;
    for (let i = 0; i < 24; i++) {
      await pod.run('socket 0 udp 4');
      expect(await exchange(0, vip4)).toBe(`a ${vip4} 80`);
      if (!(await exchange(0, other4)).startsWith('a ')) apart++;
      await pod.run('close 0');
    }
    // Four tries among four: 1 of 256 collides.
    expect(apart).toBeGreaterThanOrEqual(22);
  });
});

describe('a connected socket that names an address', () => {
  it('sends to its own peer, which alone it hears', async () => {
    await stage.publish({ frontends: [{ address: vip4 }], cluster: ALL });
    await pod.script('socket 0 udp 4', `connect 0 ${vip4} 80`);
    const first = await exchange(0, vip4);
    expect(first).toMatch(new RegExp(`^[abcd] ${vip4} 80$`));
    for (let i = 0; i < 12; i++) expect(await exchange(0, vip4)).toBe(first);
    await pod.run('close 0');
  });

  it('is a plain socket again after it disconnected', async () => {
    await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
    await pod.script('socket 0 udp 4', `connect 0 ${vip4} 80`, 'disconnect 0');
    expect(await exchange(0, LAB.backend4.a, LAB.backendPort)).toBe(`a ${LAB.backend4.a} ${LAB.backendPort}`);
    expect(await exchange(0, vip4)).toBe(`a ${vip4} 80`);
    await pod.run('close 0');
  });
});

describe('where connected UDP stays per packet', () => {
  it('leaves connect() and what follows to the packet path, and serves sendmsg()', async () => {
    const perPacket = await openStage(lab, { udpConnect: false });
    try {
      await perPacket.publish({ frontends: [{ address: vip4 }], cluster: ['a'] });
      expect(await pod.tally(`ask udp-connected ${vip4} 80 2`)).toEqual(new Map([['vip', 2]]));
      expect(await pod.tally(`ask udp ${vip4} 80 2`)).toEqual(new Map([['a', 2]]));
      expect(await pod.tally(`ask tcp ${vip4} 80 2`)).toEqual(new Map([['a', 2]]));
      await pod.script('socket 0 udp 4', `connect 0 ${vip4} 80`);
      // An answer from elsewhere would not be heard.
      expect(await exchange(0, vip4)).toBe(`vip ${vip4} 80`);
      await pod.run('close 0');
    } finally {
      perPacket.close();
    }
  });
});
