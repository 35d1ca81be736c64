import { mkdirSync, rmdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cgroup2Root } from '../../lab/registry.js';
import { openNative } from '../../src/native/binding.js';
import { Cleanup, childJson, fixture, fixturePath, makeBpffs, makeNetns, run } from './lab.js';

const CGROUP = `${cgroup2Root()}/plt-native-${process.pid}`;
const cleanup = new Cleanup();

interface Link {
  readonly id: number;
  readonly programId: number;
  readonly ifindex: number;
}

interface Report {
  readonly clsact: readonly [unknown, string[], string[]][];
  readonly foreign: {
    readonly during: string[];
    readonly after: [string[], string[]];
    readonly refused: [string, string, string[]];
    readonly old: [string, string, boolean, string[]];
  };
  readonly tcx: {
    readonly ifindex: number;
    readonly first: Link;
    readonly twice: string;
    readonly second: Link;
    readonly detached: Link;
    readonly still: Link;
    readonly orphan: [number, string];
  };
  readonly cgroup: { id: boolean; attached: boolean; after: boolean; wrong: string };
}

let report: Report;

beforeAll(async () => {
  const native = openNative();
  const pins = makeBpffs(cleanup, (path) => native.mountBpffs(path));
  const object = native.openObject(fixture('maps'), 'maps.bpf.o');
  await object.load();
  const stranger = object.programFd('stranger');
  native.pin(stranger, `${pins}/stranger`);
  native.closeFd(stranger);
  object.close();
  const netns = makeNetns(cleanup, 'hooks');
  run(
    'ip',
    '-n',
    netns.slice('/run/netns/'.length),
    'link',
    'add',
    'veth0',
    'type',
    'veth',
    'peer',
    'name',
    'veth1',
  );
  mkdirSync(CGROUP);
  cleanup.add(() => rmdirSync(CGROUP));
  report = childJson<Report>('hooks', [fixturePath('maps'), CGROUP, `${pins}/stranger`], { netns });
});
afterAll(() => cleanup.run());

describe('clsact', () => {
  it('attaches, replaces in place, and takes the qdisc along with the last filter', () => {
    const ours = (direction: string, program: string) =>
      expect.stringMatching(new RegExp(`^${direction} 80 0x504c ${program}`));
    expect(report.clsact).toEqual([
      [false, [], []],
      ['ok', [ours('ingress', 'pl_pass')], ['clsact']],
      ['ok', [ours('ingress', 'pl_other')], ['clsact']],
      ['ok', [ours('ingress', 'pl_other'), ours('egress', 'pl_pass')], ['clsact']],
      [true, [ours('egress', 'pl_pass')], ['clsact']],
      [true, [], []],
      [false, [], []],
    ]);
  });

  it("leaves another's filter and its qdisc alone", () => {
    const { during, after } = report.foreign;
    expect(during).toHaveLength(2);
    expect(during[1]).toMatch(/^egress 5 /);
    expect(after).toEqual([[during[1]], ['clsact']]);
  });

  it('neither replaces nor removes a foreign program in its very place', () => {
    const [attach, detach, filters] = report.foreign.refused;
    expect(attach).toMatch(/EEXIST.*runs program 'stranger'/);
    expect(detach).toMatch(/EEXIST.*runs program 'stranger'/);
    expect(filters[0]).toMatch(/^ingress 80 0x504c stranger/);
  });

  it('does not put an egress filter into an ingress qdisc', () => {
    const [egress, ingress, detach, qdiscs] = report.foreign.old;
    expect(egress).toMatch(/EBUSY.*'ingress' qdisc/);
    expect([ingress, detach, qdiscs]).toEqual(['ok', true, ['ingress']]);
  });
});

describe('tcx', () => {
  it('attaches, switches programs under the same link, detaches', () => {
    const { ifindex, first, second, detached } = report.tcx;
    expect(first.ifindex).toBe(ifindex);
    expect(second.id).toBe(first.id);
    expect(second.programId).not.toBe(first.programId);
    expect(detached.ifindex).toBe(0);
  });

  it('refuses a program twice, and leaves the links of others alone', () => {
    expect(report.tcx.twice).toMatch(/EEXIST.*attached there already/);
    expect(report.tcx.still.ifindex).toBe(report.tcx.ifindex);
  });

  it('tells when its device has gone', () => {
    expect(report.tcx.orphan).toEqual([0, expect.stringMatching(/ENOLINK.*gone/)]);
  });
});

describe('cgroup links', () => {
  it('attach to a cgroup and go with their descriptor', () => {
    expect(report.cgroup).toEqual({
      id: true,
      attached: true,
      after: false,
      wrong: expect.stringMatching(/EINVAL.*another type/),
    });
  });
});
