// The command line on a node: what it refuses and with which words, and that cleanup leaves nothing behind.

import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Outcome } from '../../lab/exec.js';
import { REPOSITORY } from '../../lab/lab.js';
import { CLUSTER, createTown, type Town, withAgent } from './town.js';
import { ask, errors } from './traffic.js';

const PORTOLAN = join(REPOSITORY, 'bin/portolan');

/** Somebody else's program, which lets everything go on. */
const OTHER_PROGRAM = `__attribute__((section("tc"))) int other(void *packet) { return -1; }
char name[] __attribute__((section("license"))) = "GPL";`;

let town: Town;
beforeAll(async () => {
  town = await createTown('routed');
});
afterAll(() => town?.lab.close());

/** Runs `portolan run` on node-a with this configuration beside what the lab needs; for starts that are refused. */
async function run(
  config: Readonly<Record<string, unknown>>,
  before: readonly string[] = [],
): Promise<Outcome> {
  const { lab } = town;
  const file = join(lab.folder, 'refused.yaml');
  const settings = { nodeName: 'node-a', pinFolder: lab.pinFolder, cgroup: lab.cgroup('node-a'), ...config };
  writeFileSync(file, JSON.stringify({ stateFile: join(lab.folder, 'refused.json'), ...settings }));
  const argv = [...before, PORTOLAN, 'run', '--config', file, '--folder', CLUSTER];
  return lab.run('node-a', argv, { env: { ...process.env, PORTOLAN_NODE: process.execPath } });
}

/**
 * What of us is to be seen on node-a. Programs at devices by tcx only a bpftool newer than Debian 12's lists: that they are
 * gone is seen by packets that nobody serves.
 */
async function traces(): Promise<string[]> {
  const { lab } = town;
  const listed = async (argv: string[]): Promise<string> => (await lab.run('node-a', argv)).stdout;
  const devices = [...lab.pods.values()]
    .filter(({ node }) => node === 'node-a')
    .map(({ name }) => `veth-${name}`);
  const filters = await Promise.all(
    ['ingress', 'egress'].flatMap((direction) =>
      ['eth0', ...devices].map((device) =>
        lab.must('node-a', ['tc', 'filter', 'show', 'dev', device, direction]),
      ),
    ),
  );
  const shown = {
    'filters at devices': filters.join(''),
    'programs at the cgroup': await listed(['bpftool', 'cgroup', 'show', lab.cgroup('node-a')]),
    'nft rules': await listed(['nft', 'list', 'tables']),
    'iptables rules': await listed(['iptables-save']),
    'ip6tables rules': await listed(['ip6tables-save']),
  };
  const found = Object.entries(shown).filter(([, text]) => /pl_|portolan/i.test(text));
  const pins = existsSync(lab.pinFolder) ? ['pins'] : [];
  return [...found.map(([what]) => what), ...pins];
}

const RULES = ['nft rules', 'iptables rules', 'ip6tables rules', 'pins'];

describe('cleanup', () => {
  test('is refused while an agent runs, then leaves nothing: tcx and cgroup links', async () => {
    await withAgent(town, {}, async () => {
      expect(await traces()).toEqual(['programs at the cgroup', ...RULES]);
      const refused = await town.lab.portolan(['cleanup']);
      expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining('another portolan runs on') });
    });
    // The kernel goes on without the agent.
    const inside = { from: 'client', service: 'web', way: 'cluster-ip', count: 1 } as const;
    const outside = { from: 'outside', service: 'web', way: 'node-port', count: 1 } as const;
    for (const question of [inside, outside]) expect(errors(await ask(town, question))).toEqual([]);
    const { code, stdout } = await town.lab.portolan(['cleanup']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/links: programs at devices and at the cgroup/);
    expect(await traces()).toEqual([]);
    const options = { timeout: 150 };
    for (const question of [inside, outside]) {
      const unserved = await ask(town, { ...question, options });
      expect(unserved.filter(({ error }) => error === undefined)).toEqual([]);
    }
  });

  test('takes filters at clsact away', async () => {
    await withAgent(town, { config: { hooks: { socket: false, tcAttach: 'clsact' } } }, async () => {
      expect(await traces()).toEqual(['filters at devices', ...RULES]);
    });
    expect((await town.lab.portolan(['cleanup'])).code).toBe(0);
    expect(await traces()).toEqual([]);
  });

  test('where nothing is, it says so and succeeds', async () => {
    const { code, stderr } = await town.lab.portolan(['cleanup']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('leaves other agents’ filters and rules alone', async () => {
    const { lab } = town;
    const rule = ['FORWARD', '-s', '192.0.2.77', '-j', 'DROP'];
    await lab.must('node-a', ['iptables', '-A', ...rule]);
    await lab.must('node-a', ['tc', 'qdisc', 'add', 'dev', 'veth-own', 'clsact']);
    const filter = ['dev', 'veth-own', 'ingress'];
    const object = join(lab.folder, 'other.bpf.o');
    const clang = ['clang', '-O2', '-target', 'bpf', '-x', 'c', '-c', '-', '-o', object];
    await lab.must('switch', clang, { input: OTHER_PROGRAM });
    const other = ['bpf', 'direct-action', 'object-file', object, 'section', 'tc'];
    await lab.must('node-a', ['tc', 'filter', 'add', ...filter, 'prio', '49', ...other]);
    await withAgent(town, { config: { hooks: { tcAttach: 'clsact' } } }, async () => {
      const question = { from: 'own', service: 'web', way: 'cluster-ip', count: 2 } as const;
      expect(errors(await ask(town, question))).toEqual([]);
    });
    expect((await lab.portolan(['cleanup'])).code).toBe(0);
    expect(await lab.must('node-a', ['tc', 'filter', 'show', ...filter])).toMatch(/pref 49 bpf.*other.bpf.o/);
    await lab.must('node-a', ['iptables', '-D', ...rule]);
    await lab.must('node-a', ['tc', 'qdisc', 'del', 'dev', 'veth-own', 'clsact']);
  });
});

describe('refusals of run', () => {
  test('not root', async () => {
    // Nobody, who may read everything: the repository may lie in root's home.
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const may = ['--inh-caps=-all,+dac_read_search', '--ambient-caps=-all,+dac_read_search'];
    const outcome = await run({}, [...nobody, ...may]);
    expect(outcome).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^portolan: portolan run needs root .*sudo portolan run/),
    });
  });

  test('a cgroup folder that is none', async () => {
    const outcome = await run({ cgroup: '/tmp' });
    expect(outcome).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cgroup /tmp is not a cgroup v2 folder'),
    });
  });

  test('a second instance on the same pins; the first goes on', async () => {
    await withAgent(town, {}, async () => {
      const outcome = await run({});
      expect(outcome).toMatchObject({ code: 3, stderr: expect.stringContaining('another portolan runs on') });
      const question = { from: 'client', service: 'web', way: 'cluster-ip', count: 2 } as const;
      expect(errors(await ask(town, question))).toEqual([]);
    });
  });

  test('a pin folder where no bpffs can be', async () => {
    const pinFolder = join(town.lab.folder, 'lab.json', 'bpf', 'pins');
    const outcome = await run({ pinFolder });
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain(`cannot make the pin folder ${pinFolder}: ENOTDIR`);
    expect(outcome.stderr).toContain('mount -t bpf');
  });

  test('a configuration with mistakes: all of them are named', async () => {
    const outcome = await run({ masqeradeAll: true, hooks: { tcAttach: 'xdp' } });
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain('refused.yaml is not a valid configuration');
    expect(outcome.stderr).toContain('masqeradeAll');
    expect(outcome.stderr).toContain('hooks.tcAttach');
  });

  test('a folder that does not exist', async () => {
    const { lab } = town;
    const agent = await lab.agent('node-a', { folder: join(lab.folder, 'nowhere') });
    const late = setTimeout(() => agent.kill('SIGKILL'), 10_000);
    const outcome = await agent.exited;
    clearTimeout(late);
    expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining('nowhere does not exist') });
  });
});

test('bpffs is mounted where it is missing', async () => {
  const { lab } = town;
  const mountPoint = join(lab.folder, 'other', 'bpf');
  const pinFolder = join(mountPoint, 'portolan');
  try {
    await withAgent(town, { config: { pinFolder } }, async (agent) => {
      await agent.waitFor(/mounted bpffs/);
      expect(readdirSync(join(pinFolder, 'v1'))).toEqual(expect.arrayContaining(['links', 'maps']));
    });
    const cleanup = [PORTOLAN, 'cleanup', '--pin-folder', pinFolder];
    const env = { ...process.env, PORTOLAN_NODE: process.execPath };
    expect((await lab.run('node-a', cleanup, { env })).code).toBe(0);
  } finally {
    await lab.must('switch', ['umount', mountPoint]);
  }
});

test.each([['services'], ['dump']])('%s says where it has looked when nothing is pinned', async (command) => {
  await town.lab.portolan(['cleanup']);
  const { code, stderr } = await town.lab.portolan([command]);
  expect(code).toBe(1);
  expect(stderr).toContain(town.lab.pinFolder);
});
