// Under load: endpoints are switched while threads connect, choices are even, and connected sockets can be taken away.

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
const sum = (tally: Map<string, number>) => [...tally.values()].reduce((a, b) => a + b, 0);

describe('endpoints that are switched under load', () => {
  it.each(['tcp', 'udp'])('%s: no call fails, and none reaches an endpoint of neither list', async (type) => {
    const service = await stage.publish({ frontends: [{ address: vip4 }], cluster: ['a', 'b'] });
    // A second Service, whose entries come and go: their memory is used again for the first one's, and the other way round.
    const noise = await stage.publish({ frontends: [{ address: other4 }], cluster: ['e', 'e'] });
    let loading = true;
    let flips = 0;
    const load = pod.tally(`load ${type} ${vip4} 80 2 2500`).finally(() => {
      loading = false;
    });
    while (loading) {
      await stage.switchTo(service, flips % 2 === 0 ? ['c', 'd'] : ['a', 'b']);
      await stage.switchTo(noise, ['e', 'e']);
      flips++;
      await new Promise(setImmediate);
    }
    const tally = await load;
    expect([...tally.keys()].sort()).toEqual(['a', 'b', 'c', 'd']);
    expect(flips).toBeGreaterThan(200);
    expect(sum(tally)).toBeGreaterThan(1000);
    expect(await stage.reasons()).toEqual({});
    expect(await stage.served(service)).toBe(sum(tally));
    expect(await stage.sockets()).toEqual([]);

    await stage.switchTo(service, ['a', 'b']);
    expect([...(await pod.tally(`ask ${type} ${vip4} 80 30`)).keys()].sort()).toEqual(['a', 'b']);
  });
});

describe('the choice', () => {
  it.each([
    ['tcp', vip4],
    ['udp', vip6],
  ])('is even among endpoints: %s to %s', async (type, vip) => {
    const service = await stage.publish({ frontends: [{ address: vip }], cluster: ['a', 'b', 'c', 'd'] });
    const tally = await pod.tally(`ask ${type} ${vip} 80 2000`);
    expect([...tally.keys()].sort()).toEqual(['a', 'b', 'c', 'd']);
    const chiSquare = [...tally.values()].reduce((x, n) => x + (n - 500) ** 2 / 500, 0);
    // Three degrees of freedom: exceeded by chance once in a hundred thousand runs.
    expect(chiSquare).toBeLessThan(25.9);
    expect(await stage.served(service)).toBe(2000);
  });
});

describe('a connected UDP socket whose endpoint has gone', () => {
  it.each([
    ['IPv4', 4, vip4],
    ['IPv6', 6, vip6],
    ['IPv4-mapped IPv6', 6, `::ffff:${vip4}`],
  ])('can be destroyed by its cookie, and the process learns of it: %s', async (_name, family, address) => {
    await stage.publish({ frontends: [{ address: address.replace('::ffff:', '') }], cluster: ['a'] });
    await pod.script(
      `socket 0 udp ${family}`,
      `connect 0 ${address} 80`,
      `socket 1 udp ${family}`,
      `connect 1 ${address} 80`,
    );
    const cookie = BigInt((await pod.run('cookie 0')).split(' ')[1]!);
    const entry = (await stage.sockets()).find((socket) => socket.cookie === cookie)!;
    expect(await stage.destroy(entry)).toBe(1);
    expect(await pod.run('receive 0')).toBe('error ECONNABORTED');
    // Its neighbour with the same peer lives on.
    await pod.run('send 1 hello');
    expect(await pod.run('receive 1')).toMatch(/ a /);
    await pod.script('close 0', 'close 1');
    expect(await stage.sockets()).toEqual([]);
  });
});
