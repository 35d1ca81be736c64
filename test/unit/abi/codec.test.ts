import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddr, parseAddr } from '../../../src/abi/addr.js';
import type { Codec } from '../../../src/abi/codec.js';
import {
  type Flow,
  type FrontendKey,
  flowCodec,
  frontendKeyCodec,
  Kind,
  LAYOUT,
  LAYOUT_HASH,
  MAPS,
  REASON_NAMES,
  Reason,
  readService,
  readServiceStats,
  readSettings,
  SERVICE_SIZE,
  SERVICE_STATS_SIZE,
  SETTINGS_SIZE,
  writeFrontendKey,
  writeMemberKey,
  writeService,
  writeServiceStats,
  writeSettings,
} from '../../../src/abi/layout.gen.js';
import { hashLayout } from '../../../src/abi/layout.js';

function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const bytes = new Uint8Array(codec.size).fill(0xee);
  codec.write(new DataView(bytes.buffer), 0, value);
  return bytes;
}

function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  return codec.read(new DataView(bytes.buffer, bytes.byteOffset), 0);
}

const KEY: FrontendKey = { addr: parseAddr('10.96.0.1'), port: 443, proto: 6 };

describe('generated codecs', () => {
  it('write fields where C has them, ports in network byte order, padding as zero', () => {
    const address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 96, 0, 1];
    expect([...encode(frontendKeyCodec, KEY)]).toEqual([...address, 0x01, 0xbb, 6, 0]);
  });

  it('write at an offset, and nothing around it', () => {
    const bytes = new Uint8Array(60).fill(0xee);
    writeFrontendKey(new DataView(bytes.buffer), 20, KEY);
    expect(bytes.subarray(0, 20)).toEqual(new Uint8Array(20).fill(0xee));
    expect(bytes.subarray(20, 40)).toEqual(encode(frontendKeyCodec, KEY));
    expect(bytes.subarray(40)).toEqual(new Uint8Array(20).fill(0xee));
  });

  it('read what they have written', () => {
    const u16 = fc.integer({ min: 0, max: 0xffff });
    const u32 = fc.integer({ min: 0, max: 0xffffffff });
    const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
    const flow: fc.Arbitrary<Flow> = fc.record({
      seenNs: u64,
      createdNs: u64,
      natAddr: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => new Uint8Array(bytes)),
      natPort: u16,
      clientPort: u16,
      service: u32,
      set: u32,
      flags: u16,
      kind: fc.integer({ min: 0, max: 255 }),
    });
    fc.assert(
      fc.property(flow, (value) => {
        expect(decode(flowCodec, encode(flowCodec, value))).toEqual(value);
      }),
    );
  });

  it.each([
    [{ ...KEY, port: 70_000 }, 'FrontendKey.port must be an integer of 0 to 65535, not 70000'],
    [{ ...KEY, port: 1.5 }, 'FrontendKey.port'],
    [{ ...KEY, port: -1 }, 'FrontendKey.port'],
    [{ ...KEY, port: Number.NaN }, 'FrontendKey.port'],
    [{ ...KEY, proto: 256 }, 'FrontendKey.proto must be an integer of 0 to 255, not 256'],
    [{ ...KEY, proto: undefined }, 'FrontendKey.proto'],
    [{ ...KEY, addr: new Uint8Array(4) }, 'FrontendKey.addr must be 16 bytes, not 4'],
    [{ ...KEY, addr: undefined }, 'FrontendKey.addr must be 16 bytes, not undefined'],
  ])('refuse %j', (value, message) => {
    const write = () => encode(frontendKeyCodec, value as FrontendKey);
    expect(write).toThrow(RangeError);
    expect(write).toThrow(message);
  });

  it('refuse numbers of more than 32 and 64 bits', () => {
    const view = new DataView(new ArrayBuffer(64));
    expect(() => writeMemberKey(view, 0, { set: 2 ** 32, port: 1, addr: KEY.addr })).toThrow('MemberKey.set');
    const stats = { served: [1n << 64n], rejected: 0n, dropped: 0n };
    expect(() => writeServiceStats(view, 0, stats)).toThrow('u64 must be a bigint of 64 bits');
    expect(() =>
      writeServiceStats(view, 0, { ...stats, served: [], rejected: 5 as unknown as bigint }),
    ).toThrow('ServiceStats.rejected must be a bigint');
  });

  it('hold text with its NUL, in UTF-8', () => {
    const view = new DataView(new ArrayBuffer(SERVICE_SIZE));
    const service = { namespace: 'shop', name: 'n'.repeat(63), portName: '', proto: 6, family: 4 };
    writeService(view, 0, service);
    expect(readService(view, 0)).toEqual(service);
    expect(() => writeService(view, 0, { ...service, name: 'n'.repeat(64) })).toThrow(
      'Service.name must be text of at most 63',
    );
    expect(() => writeService(view, 0, { ...service, name: 'é'.repeat(32) })).toThrow('Service.name');
    expect(() => writeService(view, 0, { ...service, portName: 'a\0b' })).toThrow('Service.portName');
  });

  it('fill short arrays with zeros and refuse long ones', () => {
    const view = new DataView(new Uint8Array(SETTINGS_SIZE).fill(0xee).buffer);
    const range = { addr: parseAddr('10.96.0.0'), mask: parseAddr('ffff:ffff:ffff:ffff:ffff:ffff:ffff:0') };
    const settings = {
      hostNetns: 3n,
      flags: 1,
      masqueradeMark: 0x4000,
      rejectPerSecond: 100,
      serviceRangeCount: 1,
      podRangeCount: 0,
      serviceRanges: [range],
      podRanges: [],
    };
    writeSettings(view, 0, settings);
    const read = readSettings(view, 0);
    expect(read.serviceRanges).toHaveLength(8);
    expect(read.serviceRanges[0]).toEqual(range);
    expect(read.serviceRanges[7]!.addr).toEqual(new Uint8Array(16));
    expect(() => writeSettings(view, 0, { ...settings, podRanges: Array(5).fill(range) })).toThrow(
      'Settings.podRanges must be an array of at most 4, not 5',
    );
  });

  it('read arrays of counters', () => {
    const view = new DataView(new ArrayBuffer(SERVICE_STATS_SIZE));
    writeServiceStats(view, 0, { served: [1n, 2n, 3n], rejected: 4n, dropped: 5n });
    expect(readServiceStats(view, 0)).toEqual({ served: [1n, 2n, 3n], rejected: 4n, dropped: 5n });
  });
});

describe('constants', () => {
  it('have the short names of abi.h', () => {
    expect(Kind.CLUSTER_IP).toBe(1);
    expect(REASON_NAMES.get(Reason.DROP_SOURCE_RANGE)).toBe('drop-source-range');
    expect(REASON_NAMES.has(Reason.NONE)).toBe(false);
    expect(REASON_NAMES.size).toBe(Reason.REASON_MAX - 1);
  });

  it('describe each map by its codecs', () => {
    for (const map of Object.values(MAPS)) {
      expect(map.key.size).toBe(map.keySize);
      expect(map.value.size).toBe(map.valueSize);
    }
    expect(MAPS.frontends).toMatchObject({
      type: 1,
      flags: 1,
      keySize: 20,
      valueSize: 32,
      maxEntries: 131072,
    });
    expect(hashLayout(LAYOUT)).toBe(LAYOUT_HASH);
  });
});

describe('addresses of maps', () => {
  it('are parsed and written canonically', () => {
    expect(formatAddr(parseAddr('172.30.0.041'))).toBe('172.30.0.41');
    expect(formatAddr(parseAddr('FD00:0:0::1'))).toBe('fd00::1');
    expect(() => parseAddr('nonsense')).toThrow('not an IP address: "nonsense"');
  });
});
