import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { configuration, loadConfiguration } from '../../../src/agent/config.js';
import { Refusal } from '../../../src/agent/refusal.js';

const folder = mkdtempSync(join(tmpdir(), 'portolan-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (text: string): string => {
  const path = join(folder, `${Math.random()}.yaml`);
  writeFileSync(path, text);
  return path;
};

const refusalOf = (input: unknown): string => {
  try {
    configuration(input, 'test');
  } catch (error) {
    expect(error).toBeInstanceOf(Refusal);
    return (error as Error).message;
  }
  throw new Error('was accepted');
};

describe('configuration()', () => {
  test('nothing given is a whole configuration', () => {
    const all = configuration({}, 'test');
    expect(all.pinFolder).toBe('/sys/fs/bpf/portolan');
    expect(all.hooks).toMatchObject({ socket: true, tc: true, tcAttach: 'auto' });
    expect(all.nodePortRange).toEqual({ from: 30_000, to: 32_767 });
  });

  test('names every mistake at once, with its path', () => {
    const message = refusalOf({
      hooks: { tcAttach: 'xdp' },
      conntrack: { udpSeconds: 0 },
      clusterCIDRs: ['10.0.0.0/40'],
    });
    expect(message).toContain('hooks.tcAttach');
    expect(message).toContain('conntrack.udpSeconds');
    expect(message).toContain('clusterCIDRs.0');
  });

  test('an unknown field is a mistake, not a silence', () => {
    expect(refusalOf({ hookz: {} })).toContain('hookz');
  });

  test.each([
    [{ hooks: { socket: false, tc: false } }, 'nothing would be served'],
    [{ detectLocalMode: 'BridgeInterface' }, 'bridgeInterface'],
    [{ detectLocalMode: 'InterfaceNamePrefix' }, 'interfaceNamePrefix'],
    [{ nodePortRange: { from: 32_000, to: 30_000 } }, 'from is above to'],
    [{ nodePortAddresses: ['primary', '10.0.0.0/8'] }, 'stands alone'],
    [{ nodePortAddresses: ['eth0'] }, 'neither a CIDR nor'],
  ])('%j contradicts itself', (input, words) => {
    expect(refusalOf(input)).toContain(words);
  });
});

describe('loadConfiguration()', () => {
  test('flags go over the file, the file over the defaults', () => {
    const path = file('nodeName: from-file\nmasqueradeAll: true\n');
    const loaded = loadConfiguration(path, { nodeName: 'from-flag', folder: undefined });
    expect(loaded).toMatchObject({ nodeName: 'from-flag', masqueradeAll: true, folder: '' });
  });

  test('a file that is not there, not YAML or not a mapping is refused by name', () => {
    expect(() => loadConfiguration(join(folder, 'none.yaml'), {})).toThrow(/none\.yaml/);
    expect(() => loadConfiguration(file('a: [1'), {})).toThrow(Refusal);
    expect(() => loadConfiguration(file('- 1\n'), {})).toThrow(/mapping/);
  });
});
