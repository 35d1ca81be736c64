// What packets go through besides the first one: large segments, fragments, path MTU, ICMP errors, hairpins, colliding
// ports, affinity, even spread. The socket hook is off, so that packets carry the Service's address.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Running } from '../../lab/exec.js';
import type { Protocol } from '../../lab/traffic.js';
import { type Counts, openCounters, reasonChange } from './counters.js';
import {
  createTown,
  FAMILIES,
  startAgent,
  stopAgent,
  TOPOLOGIES,
  type Topology,
  type Town,
  target,
  WEB,
} from './town.js';
import { ask, errors, outcomes } from './traffic.js';

const PROTOCOLS = ['tcp', 'udp'] as const satisfies readonly Protocol[];

describe.each(Object.keys(TOPOLOGIES) as Topology[])('%s pods', (topology) => {
  let town: Town;
  let agent: Running;
  let counters: () => Promise<Counts>;
  let before: Counts;

  beforeAll(async () => {
    town = await createTown(topology);
    agent = await startAgent(town, { config: { hooks: { socket: false } } });
    counters = openCounters(town.lab.pinFolder);
  });
  afterAll(async () => {
    await stopAgent(agent);
    await town?.lab.close();
  });
  beforeEach(async () => {
    before = await counters();
  });

  test.each(
    FAMILIES.flatMap((family) => [
      ['client', 'cluster-ip', family] as const,
      ['client', 'load-balancer', family] as const,
      ['outside', 'node-port', family] as const,
    ]),
  )(
    '%s to %s: 2 MB over TCP in large segments, 20 kB over UDP in fragments, IP%s',
    async (from, way, family) => {
      const { address, port } = target('web', way, family);
      // The way to pods behind an overlay is narrower than the client's link: one datagram is spent on finding that out.
      if (topology === 'bridged' && from === 'outside')
        await town.lab.big(from, 'udp', address, port, 20_000, { timeout: 100 });
      const results = await Promise.all([
        town.lab.big(from, 'tcp', address, port, 2_000_000),
        // Every endpoint gets its turn, on this node and on the other.
        ...WEB.flatMap(() => [
          town.lab.big(from, 'tcp', address, port, 200_000),
          town.lab.big(from, 'udp', address, port, 20_000),
          town.lab.big(from, 'udp', address, port, 20_000, { connected: true }),
        ]),
      ]);
      expect(results.map(({ ok, error }) => ok || error)).toEqual(results.map(() => true));
      expect(reasonChange(before, await counters())).not.toHaveProperty('drop-fragment');
    },
  );

  test.each(FAMILIES)('IP%s: a closed UDP port tells its client through the Service', async (family) => {
    for (const [from, way] of [
      ['client', 'cluster-ip'],
      ['outside', 'node-port'],
    ] as const) {
      const { address, port } = target('closed', way, family);
      for (const connected of [true, false]) {
        const [answer] = await town.lab.ask(from, 'udp', address, port, { connected });
        expect(answer!.error).toBe('ECONNREFUSED');
      }
    }
  });

  test.each(PROTOCOLS)('%s: one client port to two Services of one pod', async (protocol) => {
    for (const family of FAMILIES) {
      const [one, two] = [target('twin-1', 'cluster-ip', family), target('twin-2', 'cluster-ip', family)];
      const bindPort = 9000;
      const held = await town.lab.hold('client', protocol, one.address, one.port, {
        bindPort,
        bindAddress: town.lab.client[family],
        connections: 1,
        interval: 20,
        seconds: 60,
        progress: 20,
      });
      await held.waitFor(/"ok":[1-9]/);
      const [answer] = await town.lab.ask('client', protocol, two.address, two.port, {
        bindPort,
        bindAddress: town.lab.client[family],
      });
      // The answers could not be told apart, so the pod sees another source port.
      expect(answer).toMatchObject({ name: 'own' });
      expect(answer!.clientPort).not.toBe(bindPort);
      held.kill('SIGTERM');
      expect(await held.tally).toMatchObject({ alive: 1, failed: 0, moved: 0 });
    }
    expect(reasonChange(before, await counters())).toEqual({ 'flow-collision': FAMILIES.length });
  });

  test('a pod that is its own endpoint exchanges much with itself', async () => {
    for (const family of FAMILIES) {
      const { address, port } = target('own', 'cluster-ip', family);
      expect(await town.lab.big('own', 'tcp', address, port, 500_000)).toMatchObject({ ok: true });
      expect(await town.lab.big('own', 'udp', address, port, 5000)).toMatchObject({ ok: true });
    }
  });

  test('new connections spread evenly over the endpoints', async () => {
    const { address, port } = target('web', 'load-balancer', 'v4');
    const load = await town.lab.load('outside', 'tcp', address, port, { rate: 900, seconds: 1 });
    const { ok, failed, answerers } = await load.tally;
    expect(failed).toBe(0);
    expect(Object.keys(answerers).sort()).toEqual(WEB);
    // Binomial, 900 times 1/3: six standard deviations are 85.
    for (const { count } of Object.values(answerers)) expect(Math.abs(count - ok / 3)).toBeLessThan(90);
  });

  test.each([
    ['client', 'cluster-ip'],
    ['outside', 'node-port'],
  ] as const)('%s stays with its pod under sessionAffinity ClientIP, through a %s', async (from, way) => {
    // Two first questions at the same time may get two pods, under kube-proxy, too.
    for (const family of FAMILIES)
      for (const protocol of PROTOCOLS) {
        const { address, port } = target('sticky', way, family);
        await town.lab.ask(from, protocol, address, port);
      }
    const asked = await ask(town, { from, service: 'sticky', way, count: 10 });
    expect(errors(asked)).toEqual([]);
    for (const family of FAMILIES)
      for (const protocol of PROTOCOLS) {
        const answers = asked.filter((answer) => answer.family === family && answer.protocol === protocol);
        expect(outcomes(answers)).toHaveLength(1);
      }
  });

  test.each(FAMILIES)('IP%s: a path that narrows behind the client', async (family) => {
    const home = await narrowHome(town);
    for (const [service, way] of [
      ['web', 'node-port'],
      ['web-local', 'load-balancer'],
    ] as const) {
      const { address, port } = target(service, way, family);
      const result = await home.big(address, port);
      expect(result, `${way} of ${service}`).toMatchObject({ ok: true, error: '' });
      // Who is not masqueraded has told the pod itself how narrow its way is.
      if (service === 'web-local') {
        const pod = result.answer.split(' ')[0]!;
        const route = await town.lab.must(pod, ['ip', 'route', 'get', home[family]]);
        expect(route).toContain(`mtu ${NARROW_MTU}`);
      }
    }
    await home.remove();
  });
});

const NARROW_MTU = 1300;

/** A machine behind the outside one, which forwards to it with a smaller MTU: what is larger gets an ICMP error. */
async function narrowHome({ lab }: Town) {
  const v4 = '198.51.100.201';
  const v6 = '2001:db8:1:1::201';
  const home = `${lab
    .netns('outside')
    .split('/')
    .at(-1)!
    .replace(/outside$/, '')}home`;
  const sh = (where: string, lines: string[]): Promise<string> =>
    lab.must(where, ['sh', '-ec', lines.join('\n')]);
  await sh('outside', [
    `ip netns add ${home}`,
    `ip link add to-home type veth peer name eth0 netns ${home}`,
    'sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1',
    'ip addr add fe80::1/64 dev to-home nodad',
    'ip link set to-home up',
    'sysctl -qw net.ipv4.conf.to-home.proxy_arp=1 net.ipv4.neigh.to-home.proxy_delay=0',
    `ip route add ${v4}/32 dev to-home mtu lock ${NARROW_MTU}`,
    `ip route add ${v6}/128 dev to-home mtu lock ${NARROW_MTU}`,
  ]);
  const inside = ['nsenter', `--net=/run/netns/${home}`, '--'];
  const lines = [
    'sysctl -qw net.ipv6.conf.all.accept_dad=0',
    'ip link set lo up',
    `ip addr add ${v4}/32 dev eth0`,
    `ip addr add ${v6}/128 dev eth0 nodad`,
    'ip link set eth0 up',
    'ip route add 192.0.2.1 dev eth0 scope link',
    'ip route add default via 192.0.2.1',
    'ip route add default via fe80::1 dev eth0',
  ];
  await lab.must('outside', [...inside, 'sh', '-ec', lines.join('\n')]);
  await sh('node-a', [`ip route replace ${v6}/128 via 2001:db8:1::100`]);
  const peer = new URL('../../build/peer', import.meta.url).pathname;
  return {
    v4,
    v6,
    big: async (address: string, port: number) => {
      const argv = [peer, 'big', 'tcp', address, String(port), '--bytes', '300000', '--json'];
      const { stdout } = await lab.run('outside', [...inside, ...argv, '--timeout', '3000']);
      return JSON.parse(stdout) as { ok: boolean; error: string; answer: string };
    },
    remove: () => sh('outside', [`ip netns del ${home}`]),
  };
}
