import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { cgroup2Root } from '../../lab/registry.js';
import { openNative } from '../../src/native/binding.js';
import { Cleanup, childJson, makeNetns, run } from './lab.js';

const cleanup = new Cleanup();
afterAll(() => cleanup.run());

describe('the route socket', () => {
  it('dumps, follows a veth as it appears and vanishes, and tells when news were lost', () => {
    const report = childJson<Record<string, unknown>>('route', [], { netns: makeNetns(cleanup, 'route') });
    expect(report).toEqual({
      dump: ['address', 'done', 'link lo'],
      appeared: expect.arrayContaining(['address', 'link pod0', 'link pod1']),
      vanished: expect.arrayContaining(['link gone pod0', 'link gone pod1']),
      lost: true,
      afterOverrun: true,
      closed: 'requestDump: the route socket is closed',
    });
  });
});

describe('destroySockets()', () => {
  it('destroys exactly the sockets named, in their namespace, IPv4, IPv6 and mapped', () => {
    const netns = makeNetns(cleanup, 'udp');
    const ECONNABORTED = '103';
    expect(childJson('udp', [netns])).toEqual({
      nothing: 0,
      wrongFamily: 0,
      destroyed: 4,
      errors: {
        udp4: ECONNABORTED,
        spared4: '0',
        udp6: ECONNABORTED,
        mapped: ECONNABORTED,
        tcp4: ECONNABORTED,
      },
      home: true,
      differs: true,
    });
  });

  it('does nothing for an empty list', async () => {
    expect(await openNative().destroySockets('/nowhere', [])).toBe(0);
  });
});

describe('features()', () => {
  it('tells what this kernel can do and leaves nothing behind', () => {
    const programs = () =>
      run('bpftool', 'prog', 'show')
        .split('\n')
        .filter((line) => line.includes('pl_probe'));
    const features = openNative().features();
    const [major, minor] = run('uname', '-r').split('.').map(Number) as [number, number];
    const since = (a: number, b: number) => major > a || (major === a && minor >= b);
    expect(features.tcx).toBe(since(6, 6));
    expect(features.netnsCookie).toBe(since(5, 14));
    expect(features.btf).toBe(true);
    expect(programs()).toEqual([]);
  });
});

describe('lock()', () => {
  it('is held against another process until that one ends, however it ends', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'plt-native-lock-'));
    cleanup.add(() => rmSync(folder, { recursive: true }));
    const native = openNative();
    const script = fileURLToPath(new URL('children/lock.ts', import.meta.url));
    const holder = spawn(process.execPath, ['--import', 'tsx', script, folder], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [line] = (await once(holder.stdout, 'data')) as [Buffer];
    expect(line.toString()).toBe('locked\n');
    expect(native.lock(folder)).toBe(-1);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const fd = native.lock(folder);
    expect(fd).toBeGreaterThan(2);
    expect(native.lock(folder)).toBe(-1);
    native.closeFd(fd);
  });
});

describe('filesystemType()', () => {
  it('knows bpffs, cgroup2 and others', () => {
    const native = openNative();
    expect(native.filesystemType(cgroup2Root())).toBe(0x63677270);
    expect(native.filesystemType('/proc')).toBe(0x9fa0);
  });
});
