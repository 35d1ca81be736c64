// Pods and nodes come and go under a running agent, and agents stand side by side.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Running } from '../../lab/exec.js';
import { type Lab, REPOSITORY } from '../../lab/lab.js';
import { parseAnswers } from '../../lab/traffic.js';
import { createTown, startAgent, stopAgent, type Town, target, WEB } from './town.js';
import { ask, errors, outcomes } from './traffic.js';

const PEER = join(REPOSITORY, 'build/peer');
const PORTOLAN = join(REPOSITORY, 'bin/portolan');

const links = (lab: Lab, device: string): string[] =>
  readdirSync(join(lab.pinFolder, 'v1/links')).filter((name) => name.startsWith(`${device}-`));

/** A pod that the CNI adds later; not in any manifest. */
const LATE = { v4: '10.244.0.240', v6: 'fd00:10:244::240' };

async function addPod(lab: Lab): Promise<void> {
  const name = lab.netns('late').split('/').at(-1)!;
  const inside = `nsenter --net=/run/netns/${name}`;
  const lines = [
    // What a test that failed may have left.
    `ip netns del ${name} 2>/dev/null && sleep 0.5 || true`,
    `ip netns add ${name}`,
    `${inside} sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0`,
    `ip link add veth-late type veth peer name eth0 netns ${name}`,
    'ip addr add fe80::1/64 dev veth-late nodad',
    'ip link set veth-late up',
    'sysctl -qw net.ipv4.conf.veth-late.proxy_arp=1 net.ipv4.neigh.veth-late.proxy_delay=0',
    `ip route add ${LATE.v4}/32 dev veth-late`,
    `ip route add ${LATE.v6}/128 dev veth-late`,
    `${inside} sh -ec 'ip addr add ${LATE.v4}/32 dev eth0; ip addr add ${LATE.v6}/128 dev eth0 nodad; ip link set lo up; ip link set eth0 up; ip route add 169.254.1.1 dev eth0 scope link; ip route add default via 169.254.1.1; ip route add default via fe80::1 dev eth0'`,
  ];
  await lab.must('node-a', ['sh', '-ec', lines.join('\n')]);
}

/** The kernel takes a deleted namespace down in its own time. */
async function deviceIsGone(lab: Lab): Promise<void> {
  await vi.waitFor(async () => expect(await lab.must('node-a', ['ip', 'link'])).not.toContain('veth-late'), {
    timeout: 5000,
  });
}

/** One question over TCP from the late pod. @returns who answered, or the error */
async function askFromLate(lab: Lab, family: 'v4' | 'v6', options: readonly string[] = []): Promise<string> {
  const { address, port } = target('web', 'cluster-ip', family);
  const inside = ['nsenter', `--net=${lab.netns('late')}`, '--'];
  const argv = [...inside, PEER, 'ask', 'tcp', address, String(port), '--json', ...options];
  const [answer] = parseAnswers((await lab.run('node-a', argv)).stdout);
  return answer!.name ?? answer!.error!;
}

describe.each([{ tcAttach: 'tcx' }, { tcAttach: 'clsact' }])('pods, $tcAttach', ({ tcAttach }) => {
  let town: Town;
  let agent: Running;
  beforeAll(async () => {
    town = await createTown('routed');
    agent = await startAgent(town, {
      config: { hooks: { socket: false, tcAttach }, log: { level: 'debug' } },
    });
  });
  afterAll(async () => {
    await stopAgent(agent);
    await town?.lab.close();
  });

  test('a pod that comes later is served at once, goes without a trace, and comes back', async () => {
    const { lab } = town;
    for (let round = 0; round < 2; round++) {
      const from = agent.lines.length;
      await addPod(lab);
      await agent.waitFor(/"device":"veth-late".*device served/, 1000, from);
      for (const family of ['v4', 'v6'] as const) expect(WEB).toContain(await askFromLate(lab, family));
      expect(links(lab, 'veth-late')).toHaveLength(tcAttach === 'tcx' ? 2 : 0);
      await lab.must('node-a', ['ip', 'netns', 'del', lab.netns('late').split('/').at(-1)!]);
      await deviceIsGone(lab);
      await vi.waitFor(() => expect(links(lab, 'veth-late')).toEqual([]), { timeout: 3000 });
    }
    expect(agent.lines.filter((line) => /"level":(50|60)/.test(line))).toEqual([]);
  });

  test('a pod whose network namespace disappears under traffic disturbs nobody', async () => {
    const { lab } = town;
    const { address, port } = target('web', 'cluster-ip', 'v4');
    const from = agent.lines.length;
    await addPod(lab);
    await agent.waitFor(/"device":"veth-late".*device served/, 1000, from);
    const others = await lab.hold('client', 'tcp', address, port, {
      connections: 10,
      interval: 20,
      seconds: 30,
    });
    const inside = [
      'nsenter',
      `--net=${lab.netns('late')}`,
      '--',
      PEER,
      'load',
      'tcp',
      address,
      String(port),
    ];
    const load = await lab.spawn('node-a', [
      ...inside,
      '--rate',
      '300',
      '--seconds',
      '20',
      '--progress',
      '50',
    ]);
    await load.waitFor(/"ok":[1-9]\d\d/);
    // The last process of the namespace ends, and with it the namespace and the pod's device.
    await lab.must('node-a', ['ip', 'netns', 'del', lab.netns('late').split('/').at(-1)!]);
    load.kill('SIGKILL');
    await load.exited;
    await deviceIsGone(lab);
    await vi.waitFor(() => expect(links(lab, 'veth-late')).toEqual([]), { timeout: 3000 });
    const asked = await ask(town, { from: 'client', service: 'web', way: 'cluster-ip', count: 8 });
    expect(errors(asked)).toEqual([]);
    expect(outcomes(asked)).toEqual(WEB);
    others.kill('SIGTERM');
    expect(await others.tally).toMatchObject({ alive: 10, failed: 0 });
  });
});

describe('side by side', () => {
  let one: Town;
  let two: Town;
  const agents: Running[] = [];
  beforeEach(async () => {
    [one, two] = await Promise.all([createTown('routed'), createTown('bridged')]);
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.kill('SIGKILL');
    await Promise.all([one.lab.close(), two.lab.close()]);
  });

  const served = async (town: Town, from: string): Promise<string[]> => {
    const asked = await ask(town, { from, service: 'web', way: 'cluster-ip', count: 8 });
    expect(errors(asked)).toEqual([]);
    return outcomes(asked);
  };

  test('agents of two nodes and of two clusters', async () => {
    const [a, b] = await Promise.all([startAgent(one), one.lab.agent('node-b')]);
    const c = await startAgent(two);
    agents.push(a!, b!, c);
    await b!.waitFor(/"msg":"serving"/);
    for (const [town, from] of [
      [one, 'client'],
      [one, 'node-a'],
      [one, 'visitor'],
      [one, 'node-b'],
      [one, 'outside'],
      [two, 'client'],
      [two, 'outside'],
    ] as const)
      expect(await served(town, from), from).toEqual(WEB);
    // node-b is left: its own clients are not served any more, nobody else notices.
    await stopAgent(b!);
    const config = join(one.lab.folder, 'node-b.yaml');
    const env = { ...process.env, PORTOLAN_NODE: process.execPath };
    await one.lab.must('node-b', [PORTOLAN, 'cleanup', '--config', config], { env });
    const { address, port } = target('web', 'localhost', 'v4');
    const [refused] = await one.lab.ask('node-b', 'tcp', address, port);
    expect(refused!.error).toBe('ECONNREFUSED');
    expect(await served(one, 'client')).toEqual(WEB);
    expect(await served(one, 'node-a')).toEqual(WEB);
    expect(await served(two, 'client')).toEqual(WEB);
    // One whole cluster goes.
    await stopAgent(a!);
    await one.lab.portolan(['cleanup']);
    expect(await served(two, 'client')).toEqual(WEB);
    expect(await served(two, 'outside')).toEqual(WEB);
    await stopAgent(c);
    agents.length = 0;
  });
});
