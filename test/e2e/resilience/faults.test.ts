// What is taken away from the agent while it runs, or before it starts: each is said with what to do, and what is served
// stays served.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { must, type Running } from '../../../lab/exec.js';
import {
  createWorld,
  drift,
  end,
  expectNoFailure,
  serviceManifest,
  sleep,
  underLoad,
  WEB,
  WEB_PODS,
  WEB_SERVICE,
  type World,
} from './world.js';

let world: World;
let agents: Running[] = [];

beforeAll(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await Promise.all(agents.map((agent) => end(agent)));
  agents = [];
});
afterAll(() => world?.close());

async function start(config = {}): Promise<Running> {
  const agent = await world.start(config);
  agents.push(agent);
  return agent;
}

/** The words of a log line. */
function words(line: string): string {
  return (JSON.parse(line) as { msg: string }).msg;
}

async function expectServed(): Promise<void> {
  for (const [where, address, port] of [
    ['client', WEB.v4, 80],
    ['client', WEB.v6, 80],
    ['outside', '192.0.2.10', 30_080],
  ] as const)
    expect(await world.lab.ask(where, 'tcp', address, port)).toMatchObject([
      { name: expect.stringMatching(/^web-/) as string },
    ]);
}

test('bpffs is unmounted under the agent: nothing fails, everything is pinned again', async () => {
  const agent = await start();
  const before = linkIds();
  const tallies = await underLoad(world, async () => {
    await must(['umount', '--lazy', world.lab.bpffs]);
    expect(existsSync(world.lab.pinFolder)).toBe(false);
    const said = await agent.waitFor(/the pins under .* are gone/);
    expect(words(said)).toMatch(/was its bpffs unmounted\?.*pinning and attaching everything anew/);
    await agent.waitFor(/repaired/);
    // Edits arrive in the maps that are pinned now.
    world.manifests.webPods(WEB_PODS.slice(0, 2));
    await expect.poll(() => drift(world)).toEqual([]);
    world.manifests.webPods(WEB_PODS);
    await expect.poll(() => drift(world)).toEqual([]);
  });
  expectNoFailure(tallies, ['podUdpConnected']);
  // The very same links: none was lost, none is there twice.
  expect(linkIds()).toEqual(before);
  expect(readdirSync(join(world.lab.pinFolder, 'v1/links')).length).toBe(4 * 2 + 9);

  // The new pins are as good as the old: locked, and taken over by the next one.
  const second = await world.lab.agent('node-a', { folder: world.manifests.folder });
  expect((await second.exited).code).toBe(3);
  const next = await underLoad(world, async () => {
    await end(agent);
    await start();
  });
  expectNoFailure(next);
});

test('the cgroup of the socket hook is removed and made again', async () => {
  const cgroup = join(world.lab.cgroup('node-a'), 'short-lived');
  mkdirSync(cgroup);
  const agent = await start({ cgroup });
  await agent.waitFor(/socket hook is effective/);
  // The probe that has just run there must be buried first.
  await expect.poll(() => attempt(() => rmdirSync(cgroup))).toBe('');
  const said = await agent.waitFor(/was removed/);
  expect(words(said)).toContain(`the cgroup ${cgroup} was removed`);
  expect(words(said)).toMatch(/make it again, or restart with another one \(cgroup in the configuration\)/);
  await expectServed();
  mkdirSync(cgroup);
  await agent.waitFor(/made anew: the socket hook is attached/);
  await expect
    .poll(() => execFileSync('bpftool', ['cgroup', 'show', cgroup]).toString())
    .toContain('pl_connect4');
  expect(agent.lines.filter((line) => line.includes('was removed'))).toHaveLength(1);
  await end(agent);
  rmdirSync(cgroup);
});

test('the cgroup hierarchy is unmounted: said, and its processes stay served', async () => {
  const mounted = join(world.lab.folder, 'cgroups');
  mkdirSync(mounted);
  await must(['mount', '-t', 'cgroup2', 'none', mounted]);
  const below = world.lab.cgroup('node-a').split('/').slice(-2).join('/');
  const agent = await start({ cgroup: join(mounted, below) });
  await agent.waitFor(/socket hook is effective/);
  const tallies = await underLoad(world, async () => {
    await must(['umount', '--lazy', mounted]);
    expect(words(await agent.waitFor(/no cgroup v2 folder any more/))).toMatch(
      /goes on serving; mount it again/,
    );
  });
  expectNoFailure(tallies);
});

test('an agent that died between a pin and its rename leaves no second program', async () => {
  await end(await start());
  const before = linkIds();
  const links = join(world.lab.pinFolder, 'v1/links');
  for (const name of ['veth-web-1-ingress', 'cgroup-pl_connect4'])
    renameSync(join(links, name), join(links, `${name}-next`));
  const tallies = await underLoad(world, async () => void (await start()));
  expectNoFailure(tallies);
  expect(linkIds()).toEqual(before);
  expect(readdirSync(links).filter((name) => name.endsWith('-next'))).toEqual([]);
});

test('a second agent on the same pins is refused, the first is not disturbed', async () => {
  await start();
  const second = await world.lab.agent('node-a', { folder: world.manifests.folder, config: world.config });
  const { code, stderr } = await second.exited;
  expect(code).toBe(3);
  expect(stderr).toMatch(
    /another portolan runs on .*: stop it first, or give this one a pinFolder of its own/,
  );
  expect((await world.lab.portolan(['cleanup'])).stderr).toMatch(/another portolan runs on/);
  await expectServed();
});

test('a damaged state file is set aside, and what was given out is found in it', async () => {
  const state = join(world.lab.folder, 'node-a-state.json');
  const {
    clusterIP: _,
    clusterIPs: __,
    ...spec
  } = serviceManifest({ name: 'given', v4: '' }).spec as Record<string, unknown>;
  world.manifests.write('given.yaml', { ...serviceManifest({ name: 'given', v4: '' }), spec });
  const agent = await start();
  const given = (await world.lab.portolan(['dump'])).stdout.match(/^frontend .*shop\/given.*$/gm);
  expect(given).toHaveLength(1);
  await end(agent);
  writeFileSync(state, `${readFileSync(state, 'utf8')}}} nonsense \0`);
  const next = await start();
  expect(words(await next.waitFor(/is damaged/))).toMatch(
    /could be taken over.*the old file is now .*damaged/,
  );
  expect((await world.lab.portolan(['dump'])).stdout.match(/^frontend .*shop\/given.*$/gm)).toEqual(given);
  world.manifests.remove('given.yaml');
  await end(next);
  writeFileSync(state, Buffer.alloc(100_000, 0xff));
  await (await start()).waitFor(/is damaged; nothing of it could be taken over/);
  await expectServed();
});

test('the state file cannot be written: said, and everything is served', async () => {
  const folder = join(world.lab.folder, 'read-only');
  mkdirSync(folder);
  // Root writes whatever the mode says; a read-only mount it does not.
  await must(['mount', '-t', 'tmpfs', '-o', 'ro', 'tmpfs', folder]);
  try {
    const agent = await start({ stateFile: join(folder, 'state.json') });
    expect(words(await agent.waitFor(/cannot be written/))).toMatch(
      /EROFS.*after a restart cluster IPs and node ports may differ/,
    );
    await expectServed();
  } finally {
    await must(['umount', folder]);
  }
});

test('the folder is moved away, emptied and filled again', async () => {
  const agent = await start();
  const { folder } = world.manifests;
  const gone = await underLoad(world, async () => {
    renameSync(folder, `${folder}-away`);
    expect(words(await agent.waitFor(/the folder is gone/))).toContain(
      'everything stays as it was until it is back',
    );
    await sleep(300);
    renameSync(`${folder}-away`, folder);
    await sleep(300);
  });
  expectNoFailure(gone);
  // Who empties the folder has deleted the Services.
  for (const file of readdirSync(folder)) world.manifests.remove(file);
  await expect.poll(async () => (await world.lab.portolan(['dump'])).stdout).toBe('');
  world.manifests.write('web.yaml', WEB_SERVICE);
  world.manifests.webPods(WEB_PODS);
  await expect.poll(() => drift(world)).toEqual([]);
  await expectServed();
});

test('a node name that is nobody: said, and served without what only the Node knows', async () => {
  world.manifests.write('node.yaml', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-a' } });
  const agent = await start({ nodeName: 'node-x' });
  expect(words(await agent.waitFor(/no Node of this name/))).toMatch(
    /it has node-a.*--node-name says which it is/,
  );
  await expectServed();
  world.manifests.remove('node.yaml');
});

test('a firewall that is loaded anew takes our rules away: they are put back', async () => {
  const agent = await start();
  const has = async (): Promise<boolean> =>
    (await world.lab.run('node-a', ['nft', 'list', 'table', 'inet', 'portolan'])).code === 0;
  expect(await has()).toBe(true);
  await world.lab.must('node-a', ['nft', 'flush', 'ruleset']);
  await agent.waitFor(/netfilter rules of ours are gone/);
  const jump = [
    'iptables',
    '-C',
    'FORWARD',
    '-m',
    'comment',
    '--comment',
    'portolan forwarding',
    '-j',
    'PORTOLAN-FORWARD',
  ];
  await expect.poll(async () => (await world.lab.run('node-a', jump)).code, { timeout: 5000 }).toBe(0);
  expect(await has()).toBe(true);
  await expectServed();
});

test('a plan that is dumped beside the agent leaves its state file alone', async () => {
  await start();
  const state = join(world.lab.folder, '..', 'never');
  expect(existsSync(state)).toBe(false);
  const { code, stdout } = await world.lab.run('node-a', [
    'bin/portolan',
    'dump',
    '--from',
    'plan',
    '--folder',
    'examples/shop',
    '--node-name',
    'node-a',
    '--state-file',
    state,
  ]);
  expect(code).toBe(0);
  expect(stdout).toContain('shop/web');
  expect(existsSync(state)).toBe(false);
});

test('neither nft nor iptables is there: said, and what needs no rules is served', async () => {
  const bin = join(world.lab.folder, 'bin');
  mkdirSync(bin);
  for (const name of ['sh', 'nsenter', 'dirname', 'readlink', 'ip'])
    symlinkSync((await must(['sh', '-c', `command -v ${name}`])).trim(), join(bin, name));
  chmodSync(bin, 0o755);
  const agent = await world.lab.agent('node-a', { folder: world.manifests.folder, env: { PATH: bin } });
  agents.push(agent);
  await agent.waitFor(/"msg":"serving"/);
  expect(words(await agent.waitFor(/"msg":"netfilter: /))).toMatch(
    /masquerading needs nft \(package nftables\): .*ENOENT/,
  );
  expect(await world.lab.ask('client', 'tcp', WEB.v4, 80)).toMatchObject([
    { name: expect.stringMatching(/^web-/) as string },
  ]);
});

function attempt(task: () => void): string {
  try {
    task();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

/** The kernel's ids of the pinned links. */
function linkIds(): number[] {
  const folder = join(world.lab.pinFolder, 'v1/links');
  return readdirSync(folder)
    .map(
      (name) =>
        JSON.parse(
          execFileSync('bpftool', ['-j', 'link', 'show', 'pinned', join(folder, name)]).toString(),
        ) as { id: number },
    )
    .map(({ id }) => id)
    .sort((a, b) => a - b);
}
