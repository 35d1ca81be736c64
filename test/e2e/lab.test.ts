// The lab itself: without it working by itself no test on it says anything.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type Lab, type LabOptions, REPOSITORY } from '../../lab/lab.js';
import { sweep } from '../../lab/registry.js';
import type { LabPod } from '../../lab/topology.js';

const pod = (name: string, node: 'node-a' | 'node-b', number: number): LabPod => ({
  name,
  node,
  v4: `10.244.${node === 'node-a' ? 0 : 1}.${number}`,
  v6: `fd00:10:244:${node === 'node-a' ? 0 : 1}::${number}`,
  tcp: [8080],
  udp: [53],
});
const PODS = [
  pod('near', 'node-a', 11),
  pod('near-with-a-long-name', 'node-a', 12),
  pod('far', 'node-b', 11),
];

/** What of a lab is to be seen on the machine. */
function traces(id: string): string[] {
  const netns = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const cgroup = mounts.find((line) => line.split(' ')[2] === 'cgroup2')!.split(' ')[1]!;
  return [
    ...netns.filter((name) => name.startsWith(`plt${id}-`)),
    ...mounts.filter((line) => line.includes(`/portolan-lab/${id}/`)),
    ...readdirSync(cgroup).filter((name) => name === `portolan-lab-${id}`),
    ...(existsSync(`/run/portolan-lab/${id}`) ? [`/run/portolan-lab/${id}`] : []),
  ];
}

describe.each<[string, LabOptions]>([
  ['routed pods, routed nodes', { podNetwork: 'routed', underlay: 'routed' }],
  ['bridged pods, VXLAN', { podNetwork: 'bridged', underlay: 'vxlan' }],
  [
    'routed pods, VXLAN, every firewall rule',
    { underlay: 'vxlan', forwardDrop: 'pods', invalidDrop: true, masquerade: true },
  ],
  [
    'bridged pods, every firewall rule',
    { podNetwork: 'bridged', forwardDrop: 'pods', invalidDrop: true, masquerade: true },
  ],
])('%s', (_title, options) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ ...options, pods: PODS });
    await lab.serveAll();
    await lab.serve('node-a', { tcp: [9000], udp: [9000] });
    await lab.serve('outside', { tcp: [9000], udp: [9000] });
  });
  afterAll(() => lab?.close());

  // [from, to, port, who must have answered, the client's address as it must be seen where no CNI masquerades]
  const paths = [
    ['client', '10.244.0.11', 8080, 'near', '10.244.0.250'],
    ['client', 'fd00:10:244::12', 8080, 'near-with-a-long-name', 'fd00:10:244::250'],
    ['client', '10.244.1.11', 8080, 'far', '10.244.0.250'],
    ['client', 'fd00:10:244:1::11', 8080, 'far', 'fd00:10:244::250'],
    ['far', '10.244.0.11', 8080, 'near', '10.244.1.11'],
    ['far', 'fd00:10:244::11', 8080, 'near', 'fd00:10:244:1::11'],
    ['outside', '192.0.2.10', 9000, 'node-a', '192.0.2.100'],
    ['outside', '2001:db8:1::10', 9000, 'node-a', '2001:db8:1::100'],
  ] as const;

  test.each(paths)('%s reaches %s port %i over TCP and UDP', async (from, to, port, name, client) => {
    for (const protocol of ['tcp', 'udp'] as const) {
      const [answer] = await lab.ask(from, protocol, to, port === 8080 && protocol === 'udp' ? 53 : port);
      expect(answer).toMatchObject({ name, client, server: to });
    }
  });

  test.each(['192.0.2.100', '2001:db8:1::100'])(
    'a pod reaches %s outside, masqueraded as the option says',
    async (to) => {
      const [answer] = await lab.ask('client', 'tcp', to, 9000);
      const own = to.includes(':') ? lab.client.v6 : lab.client.v4;
      const node = to.includes(':') ? lab.nodes['node-a'].v6 : lab.nodes['node-a'].v4;
      // Without the rule the answer finds its way back by the outside client's route to the pods.
      expect(answer).toMatchObject({ name: 'outside', client: options.masquerade ? node : own });
    },
  );

  test('the outside client also has an address of the partners, which node-a answers', async () => {
    const [answer] = await lab.ask('outside', 'tcp', '192.0.2.10', 9000, { bindAddress: '198.51.100.200' });
    expect(answer).toMatchObject({ name: 'node-a', client: '198.51.100.200' });
  });

  test('large segments and fragments arrive whole', async () => {
    for (const address of ['10.244.1.11', 'fd00:10:244:1::11']) {
      expect(await lab.big('client', 'tcp', address, 8080, 2_000_000)).toMatchObject({
        ok: true,
        bytes: 2_000_000,
      });
      expect(await lab.big('client', 'udp', address, 53, 20_000)).toMatchObject({ ok: true, bytes: 20_000 });
    }
  });

  test('an address of no one is lost at the router, a port of no one is refused', async () => {
    const [lost] = await lab.ask('client', 'tcp', '203.0.113.1', 80, { timeout: 100 });
    expect(lost!.error).toBe('ETIMEDOUT');
    for (const protocol of ['tcp', 'udp'] as const) {
      const [refused] = await lab.ask('client', protocol, '10.244.0.11', 9999);
      expect(refused!.error).toBe('ECONNREFUSED');
    }
  });

  test('a process is in the cgroup of its place', async () => {
    expect((await lab.must('client', ['cat', '/proc/self/cgroup'])).trimEnd()).toContain('/node-a/client');
    expect(await lab.must('client', ['cat', '/proc/self/cgroup'], { cgroup: 'unserved' })).toContain(
      '/unserved',
    );
    expect(lab.cgroup('client').startsWith(`${lab.cgroup('node-a')}/`)).toBe(true);
  });
});

describe('peer', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ pods: PODS });
    await lab.serveAll();
  });
  afterAll(() => lab?.close());

  test('load counts every connection, and who answered when', async () => {
    const load = await lab.load('client', 'tcp', '10.244.0.11', 8080, { rate: 500, seconds: 1 });
    const tally = await load.tally;
    expect(tally).toMatchObject({ started: 500, ok: 500, failed: 0, otherPeer: 0 });
    expect(Object.keys(tally.answerers)).toEqual(['near']);
    expect(tally.answerers.near!.lastMs - tally.answerers.near!.firstMs).toBeGreaterThan(900);
    expect(tally.latencyUs.p99).toBeGreaterThanOrEqual(tally.latencyUs.p50);
  });

  test('load counts what fails as failed: refused, and lost as timeout', async () => {
    const refused = await lab.load('client', 'tcp', '10.244.0.11', 9999, { rate: 50, seconds: 1 });
    expect(await refused.tally).toMatchObject({ ok: 0, failed: 50, refused: 50 });
    const lost = await lab.load('client', 'udp', '203.0.113.1', 9999, { rate: 50, seconds: 1, timeout: 100 });
    expect(await lost.tally).toMatchObject({ ok: 0, failed: 50, timeout: 50 });
  });

  test('hold sees a server die under its connections, and SIGTERM ends it with a result', async () => {
    const server = await lab.serve('near', { name: 'mortal', tcp: [7000], udp: [] });
    const hold = await lab.hold('client', 'tcp', '10.244.0.11', 7000, {
      connections: 20,
      interval: 20,
      seconds: 30,
      progress: 50,
    });
    await hold.waitFor(/"ok":[1-9]\d\d/);
    server.kill('SIGKILL');
    await hold.waitFor(/"failed":20/);
    hold.kill('SIGTERM');
    expect(await hold.tally).toMatchObject({ started: 20, alive: 0, failed: 20, reset: 20 });
  });

  test('an answer from another address than the one asked is a failure', async () => {
    // The pod answers from a second address: nft rewrites it on the way back.
    await lab.must('client', [
      'nft',
      'add table ip t; add chain ip t in { type filter hook input priority 0; }',
    ]);
    await lab.must('client', ['nft', 'add rule ip t in udp sport 53 ip saddr set 10.244.0.99']);
    const [answer] = await lab.ask('client', 'udp', '10.244.0.11', 53, { timeout: 300 });
    expect(answer!.error).toBe('wrong-source');
    await lab.must('client', ['nft', 'delete table ip t']);
  });
});

describe('life and death', () => {
  test('two labs stand side by side, and each leaves nothing', async () => {
    const [one, two] = await Promise.all([createLab({ pods: PODS }), createLab({ pods: PODS })]);
    await Promise.all([one.serveAll(), two.serveAll()]);
    const [answer] = await one.ask('client', 'tcp', '10.244.1.11', 8080);
    expect(answer!.name).toBe('far');
    expect(traces(one.id)).not.toEqual([]);
    await one.close();
    expect(traces(one.id)).toEqual([]);
    const [other] = await two.ask('client', 'tcp', '10.244.1.11', 8080);
    expect(other!.name).toBe('far');
    await two.close();
    expect(traces(two.id)).toEqual([]);
  });

  test('a lab that cannot be built leaves nothing and says what failed', async () => {
    const twice = { ...pod('near', 'node-a', 11), name: 'again' };
    const mine = (): string[] =>
      readdirSync('/run/netns').filter((name) => name.startsWith(`plt${process.pid.toString(36)}`));
    const before = mine();
    await expect(createLab({ pods: [PODS[0]!, twice] })).rejects.toThrow(/File exists/);
    expect(mine()).toEqual(before);
  });

  test('a lab whose owner was killed is swept by the next one', async () => {
    const script = `import { createLab } from './lab/lab.ts';
      const lab = await createLab(); await lab.serve('client', { tcp: [80] }); console.log(lab.id); await new Promise(() => setInterval(() => {}, 1000));`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: REPOSITORY,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [data] = (await once(child.stdout, 'data')) as [Buffer];
    const id = data.toString().trim();
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(traces(id)).not.toEqual([]);
    expect(sweep()).toContain(id);
    expect(traces(id)).toEqual([]);
  });
});
