// In a network namespace with the device `veth0`: attaches and detaches by clsact and tcx, and prints what tc shows.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { openNative } from '../../../src/native/binding.js';
import { insistOnOwnNetns } from './own-netns.js';

const BPF_TCX_INGRESS = 46;
const native = openNative();
insistOnOwnNetns(native);
const object = native.openObject(new Uint8Array(readFileSync(process.argv[2]!)), 'maps.bpf.o');
const cgroup = process.argv[3]!;
await object.load();
const [pass, other, stranger, connect] = ['pl_pass', 'pl_other', 'stranger', 'pl_connect'].map((name) =>
  object.programFd(name),
) as [number, number, number, number];

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const tc = (...args: string[]): string => execFileSync('tc', args, { encoding: 'utf8' }).trim();
const ifindexOf = (name: string): number => JSON.parse(ip('-j', 'link', 'show', name))[0].ifindex as number;

function attempt(run: () => unknown): unknown {
  try {
    return run() ?? 'ok';
  } catch (error) {
    return (error as Error).message;
  }
}

interface Filter {
  readonly pref: number;
  readonly options?: { readonly handle?: string; readonly bpf_name?: string };
}

/** Every filter of the device as `direction pref handle program`. */
function filters(device = 'veth0'): string[] {
  return ['ingress', 'egress'].flatMap((direction) =>
    (JSON.parse(tc('-j', 'filter', 'show', 'dev', device, direction) || '[]') as Filter[])
      .filter((filter) => filter.options)
      .map(({ pref, options }) =>
        `${direction} ${pref} ${options!.handle} ${options!.bpf_name ?? ''}`.trim(),
      ),
  );
}

const qdiscs = (device = 'veth0'): string[] =>
  (JSON.parse(tc('-j', 'qdisc', 'show', 'dev', device)) as { kind: string }[])
    .map(({ kind }) => kind)
    .filter((kind) => kind === 'clsact' || kind === 'ingress');

function clsact(): unknown {
  const ifindex = ifindexOf('veth0');
  const steps: unknown[] = [];
  const note = (what: unknown) => steps.push([what, filters(), qdiscs()]);
  note(attempt(() => native.tcDetach(ifindex, 'ingress')));
  note(attempt(() => native.tcAttach(ifindex, 'ingress', pass)));
  note(attempt(() => native.tcAttach(ifindex, 'ingress', other)));
  note(attempt(() => native.tcAttach(ifindex, 'egress', pass)));
  note(attempt(() => native.tcDetach(ifindex, 'ingress')));
  note(attempt(() => native.tcDetach(ifindex, 'egress')));
  note(attempt(() => native.tcDetach(ifindex, 'egress')));
  return steps;
}

function foreign(): unknown {
  const ifindex = ifindexOf('veth0');
  tc('qdisc', 'add', 'dev', 'veth0', 'clsact');
  const program = ['bpf', 'da', 'object-pinned', process.argv[4]!];
  tc('filter', 'add', 'dev', 'veth0', 'egress', 'pref', '5', ...program);
  native.tcAttach(ifindex, 'ingress', pass);
  const during = filters();
  native.tcDetach(ifindex, 'ingress');
  const after = [filters(), qdiscs()];
  // Somebody else's program in our very place.
  tc('filter', 'add', 'dev', 'veth0', 'ingress', 'pref', '80', 'handle', '0x504c', ...program);
  const refused = [
    attempt(() => native.tcAttach(ifindex, 'ingress', pass)),
    attempt(() => native.tcDetach(ifindex, 'ingress')),
    filters(),
  ];
  tc('qdisc', 'del', 'dev', 'veth0', 'clsact');
  tc('qdisc', 'add', 'dev', 'veth0', 'ingress');
  const old = [
    attempt(() => native.tcAttach(ifindex, 'egress', pass)),
    attempt(() => native.tcAttach(ifindex, 'ingress', pass)),
    attempt(() => native.tcDetach(ifindex, 'ingress')),
    qdiscs(),
  ];
  tc('qdisc', 'del', 'dev', 'veth0', 'ingress');
  return { during, after, refused, old };
}

function tcx(): unknown {
  const ifindex = ifindexOf('veth0');
  const link = native.linkCreate(pass, ifindex, BPF_TCX_INGRESS);
  const first = native.linkInfo(link);
  const twice = attempt(() => native.linkCreate(pass, ifindex, BPF_TCX_INGRESS));
  native.linkUpdate(link, other);
  const second = native.linkInfo(link);
  const fromOther = native.linkCreate(stranger, ifindex, BPF_TCX_INGRESS);
  native.linkDetach(link);
  const detached = native.linkInfo(link);
  native.closeFd(link);
  const still = native.linkInfo(fromOther);
  ip('link', 'add', 'gone0', 'type', 'veth', 'peer', 'name', 'gone1');
  const doomed = native.linkCreate(pass, ifindexOf('gone0'), BPF_TCX_INGRESS);
  ip('link', 'del', 'gone0');
  const orphan = [native.linkInfo(doomed).ifindex, attempt(() => native.linkUpdate(doomed, other))];
  return { ifindex, first, twice, second, detached, still, orphan };
}

function cgroupLink(): unknown {
  const fd = openSync(cgroup, 'r');
  const link = native.linkCreate(connect, fd, 10);
  const info = native.linkInfo(link);
  native.linkUpdate(link, connect);
  const attached = execFileSync('bpftool', ['cgroup', 'show', cgroup], { encoding: 'utf8' }).includes(
    'pl_connect',
  );
  native.closeFd(link);
  const after = execFileSync('bpftool', ['cgroup', 'show', cgroup], { encoding: 'utf8' }).includes(
    'pl_connect',
  );
  const wrong = attempt(() => native.linkCreate(pass, fd, 10));
  closeSync(fd);
  return { id: info.id > 0, attached, after, wrong };
}

console.log(JSON.stringify({ clsact: clsact(), foreign: foreign(), tcx: tcx(), cgroup: cgroupLink() }));
