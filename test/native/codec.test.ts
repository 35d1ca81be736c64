// The generated codecs against the kernel's own view: what TypeScript writes, bpftool prints by field name from the map's
// BTF; what a C program writes through its structs, TypeScript reads.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAddr } from '../../src/abi/addr.js';
import type { Codec } from '../../src/abi/codec.js';
import { MAPS, type MapName } from '../../src/abi/layout.gen.js';
import type { BpfObject, Native } from '../../src/native/api.js';
import { openNative } from '../../src/native/binding.js';
import { run } from './lab.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'plt-native-codec-'));

const SOURCE = `
#include "common.h"
SEC("tc") int pl_fill(struct __sk_buff *skb)
{
	struct pl_flow_key key = { .sport = bpf_htons(40000), .dport = bpf_htons(443), .proto = 6 };
	struct pl_flow flow = {
		.seen_ns = 0x1122334455667788ULL, .created_ns = 2, .nat_port = bpf_htons(8443), .client_port = bpf_htons(50000),
		.service = 7, .set = 0xfffffffe, .flags = PL_FLOW_REPLY | PL_FLOW_ON_NODE, .kind = PL_KIND_LOAD_BALANCER,
	};
	pl_addr_from4(&key.src, bpf_htonl(0x0a000001));
	key.dst.b[0] = 0xfd;
	key.dst.b[15] = 9;
	pl_addr_from4(&flow.nat_addr, bpf_htonl(0xc0a80001));
	return bpf_map_update_elem(&flows, &key, &flow, BPF_ANY);
}
char LICENSE[] SEC("license") = "Dual BSD/GPL";
`;

let native: Native;
let object: BpfObject;

beforeAll(async () => {
  writeFileSync(join(work, 'fill.bpf.c'), SOURCE);
  const arch = run('uname', '-m').trim();
  const flags = [
    '-g',
    '-O2',
    '-target',
    'bpf',
    '-mcpu=v3',
    `-I${root}/bpf`,
    `-I/usr/include/${arch}-linux-gnu`,
  ];
  run('clang', ...flags, '-c', join(work, 'fill.bpf.c'), '-o', join(work, 'fill.bpf.o'));
  native = openNative();
  object = native.openObject(new Uint8Array(readFileSync(join(work, 'fill.bpf.o'))), 'fill.bpf.o');
  for (const name of Object.keys(MAPS)) {
    if (name !== 'meta' && name !== 'reasons') object.setMapMaxEntries(name, 64);
  }
  await object.load();
});

afterAll(() => {
  object.close();
  rmSync(work, { recursive: true });
});

function bytesOf<T>(codec: Codec<T>, value: T): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(codec.size);
  codec.write(new DataView(bytes.buffer), 0, value);
  return bytes;
}

describe('the generated code', () => {
  it('has the sizes, types and flags that the kernel has', () => {
    for (const [name, map] of Object.entries(MAPS)) {
      const fd = object.mapFd(name);
      const { type, keySize, valueSize, flags } = native.mapInfo(fd);
      native.closeFd(fd);
      expect({ name, type, keySize, valueSize, flags }).toEqual({
        name,
        type: map.type,
        keySize: map.keySize,
        valueSize: map.valueSize,
        flags: map.flags,
      });
    }
  });

  it('writes what bpftool prints by field name', () => {
    const fd = object.mapFd('frontends');
    const key = bytesOf(MAPS.frontends.key, { addr: parseAddr('10.96.0.10'), port: 53, proto: 17 });
    const value = {
      service: 5,
      clusterSet: 1,
      clusterCount: 2,
      localSet: 3,
      localCount: 4,
      flags: 0x21,
      affinityS: 10_800,
      kind: 1,
    };
    native.mapUpdate(fd, key, bytesOf(MAPS.frontends.value, value));
    const dump = JSON.parse(run('bpftool', '-j', 'map', 'dump', 'id', String(native.mapInfo(fd).id)));
    native.closeFd(fd);
    expect(dump[0].formatted).toMatchObject({
      key: { addr: { b: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 96, 0, 10] }, port: 53 << 8, proto: 17 },
      value: {
        service: 5,
        cluster_set: 1,
        cluster_count: 2,
        local_set: 3,
        local_count: 4,
        flags: 0x21,
        affinity_s: 10_800,
        kind: 1,
      },
    });
  });

  it('reads what a program has written', async () => {
    const program = object.programFd('pl_fill');
    expect(native.programRun(program, new Uint8Array(64)).retval).toBe(0);
    const fd = object.mapFd('flows');
    const { count, keys, values } = await native.mapDump(fd);
    native.closeFd(fd);
    native.closeFd(program);
    expect(count).toBe(1);
    expect(MAPS.flows.key.read(new DataView(keys.buffer), 0)).toEqual({
      src: parseAddr('10.0.0.1'),
      dst: parseAddr('fd00::9'),
      sport: 40_000,
      dport: 443,
      proto: 6,
    });
    expect(MAPS.flows.value.read(new DataView(values.buffer), 0)).toEqual({
      seenNs: 0x1122334455667788n,
      createdNs: 2n,
      natAddr: parseAddr('192.168.0.1'),
      natPort: 8443,
      clientPort: 50_000,
      service: 7,
      set: 0xfffffffe,
      flags: 0x81,
      kind: 4,
    });
  });

  it('makes keys of 100,000 entries and writes them in a fraction of a second', async () => {
    const name: MapName = 'frontends';
    const { key, value, keySize, valueSize } = MAPS[name];
    const big = native.openObject(new Uint8Array(readFileSync(join(work, 'fill.bpf.o'))), 'big');
    for (const other of Object.keys(MAPS)) {
      if (other !== 'meta' && other !== 'reasons' && other !== name) big.setMapMaxEntries(other, 64);
    }
    await big.load();
    const fd = big.mapFd(name);
    const started = performance.now();
    const [keys, values] = [new Uint8Array(100_000 * keySize), new Uint8Array(100_000 * valueSize)];
    const [keyView, valueView] = [new DataView(keys.buffer), new DataView(values.buffer)];
    const entry = {
      service: 1,
      clusterSet: 1,
      clusterCount: 1,
      localSet: 0,
      localCount: 0,
      flags: 0,
      affinityS: 0,
      kind: 1,
    };
    for (let i = 0; i < 100_000; i++) {
      key.write(keyView, i * keySize, {
        addr: parseAddr(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`),
        port: 80,
        proto: 6,
      });
      value.write(valueView, i * valueSize, entry);
    }
    expect(await native.mapUpdateBatch(fd, keys, values, 100_000)).toEqual({
      done: 100_000,
      missing: 0,
      errno: 0,
    });
    expect(performance.now() - started).toBeLessThan(2000);
    expect((await native.mapDump(fd)).count).toBe(100_000);
    native.closeFd(fd);
    big.close();
  });
});
