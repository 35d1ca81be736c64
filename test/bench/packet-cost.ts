// What a packet costs in the tc programs, in nanoseconds above an empty program, by BPF_PROG_TEST_RUN. With `repeat` the
// kernel does not restore the packet, so a bench program (bpf/bench.bpf.c) writes the headers of the next flow first and
// then calls the stages; the empty program is the same without the call. Hot caches, unless the flows are many.

import {
  AddressFlags,
  EndpointFlags,
  FlowFlags,
  FrontendFlags,
  Kind,
  MAPS,
} from '../../src/abi/layout.gen.js';
import type { Bytes } from '../../src/native/api.js';
import { Dataplane } from '../packet/dataplane.js';
import { encode } from '../packet/encode.js';
import { tcp } from '../packet/packet.js';
import { type Figure, figure, type Section } from './figures.js';

export interface PacketOptions {
  readonly rounds: number;
  /** Packets of one run. */
  readonly repeat: number;
}

/** enum bench_mode. */
const MODE = { empty: 0, client: 1, backend: 2, otherIn: 3, otherOut: 4 } as const;
const SYN = 2;
const ACK = 16;
const TCP = 6;
/** A run is cut into so many. */
const PARTS = 5;
const FEW = 10;
const MANY = 100_000;
const ESTABLISHED_NS = 120;
const OTHER_NS = 35;
const GROWTH = 1.05;

/** One kind of packet, and the flows and Services that there are. */
export interface Load {
  readonly mode: keyof typeof MODE;
  readonly services: number;
  readonly flows: number;
  readonly random?: boolean;
  readonly flags?: number;
  readonly ipv6?: boolean;
  /** The flows are there, as the programs leave them. */
  readonly established?: boolean;
}

interface Kindred {
  readonly name: string;
  readonly load: Omit<Load, 'services'>;
  readonly target?: number;
}

/** Measured with few and with many Services, one after the other in each round. */
const GROWING: readonly Kindred[] = [
  {
    name: 'established TCP, to the VIP',
    load: { mode: 'client', flows: 1, established: true },
    target: ESTABLISHED_NS,
  },
  {
    name: 'established TCP, the reply',
    load: { mode: 'backend', flows: 1, established: true },
    target: ESTABLISHED_NS,
  },
  { name: 'no Service, ingress', load: { mode: 'otherIn', flows: 1 }, target: OTHER_NS },
  { name: 'no Service, egress', load: { mode: 'otherOut', flows: 1 }, target: OTHER_NS },
];
const MORE: readonly (Kindred & { readonly services: number })[] = [
  {
    name: 'IPv6: established TCP, to the VIP',
    services: FEW,
    load: { mode: 'client', flows: 1, established: true, ipv6: true },
  },
  { name: 'IPv6: no Service, ingress', services: FEW, load: { mode: 'otherIn', flows: 1, ipv6: true } },
  {
    name: '100,000 flows at random: established, to the VIP',
    services: MANY,
    load: { mode: 'client', flows: 100_000, random: true, established: true },
  },
  {
    name: '100,000 flows at random: no Service, ingress',
    services: MANY,
    load: { mode: 'otherIn', flows: 100_000, random: true },
  },
  { name: 'new connection', services: FEW, load: { mode: 'client', flows: 1_000_000, flags: SYN } },
];

export async function measurePackets(options: PacketOptions, say: (text: string) => void): Promise<Section> {
  const figures: Figure[] = [];
  for (const kindred of GROWING) {
    say(`packets: ${kindred.name}`);
    const loads = [FEW, MANY].map((services): Load => ({ ...kindred.load, services }));
    const [few, many] = await packetCosts(loads, options);
    figures.push(figure(`${kindred.name}, ${FEW} Services`, 'ns', few!, kindred.target));
    figures.push(figure(`${kindred.name}, 100,000 Services`, 'ns', many!, kindred.target));
    figures.push(
      figure(
        '  100,000 / 10 Services',
        'ratio',
        many!.map((ns, i) => ns / few![i]!),
        GROWTH,
      ),
    );
  }
  for (const { name, load, services } of MORE) {
    say(`packets: ${name}`);
    const [costs] = await packetCosts([{ ...load, services }], options);
    figures.push(figure(name, 'ns', costs!));
  }
  return {
    title: 'Nanoseconds a packet in tc, above an empty program',
    how: [
      `BPF_PROG_TEST_RUN, ${options.rounds} interleaved rounds of ${options.repeat} packets; hot cache unless said.`,
    ],
    figures,
  };
}

/** @returns for each load, nanoseconds a packet above the empty program, round by round */
export async function packetCosts(loads: readonly Load[], options: PacketOptions): Promise<number[][]> {
  const planes: Dataplane[] = [];
  const costs: number[][] = loads.map(() => []);
  try {
    for (const load of loads) planes.push(await filled(load));
    const empty = await open({ ...loads[0]!, mode: 'empty' });
    planes.push(empty);
    // The first round warms up.
    for (let round = -1; round < options.rounds; round++) {
      const base = run(empty, loads[0]!, options);
      loads.forEach((load, i) => {
        const cost = run(planes[i]!, load, options) - base;
        if (round >= 0) costs[i]!.push(cost);
      });
    }
  } finally {
    for (const plane of planes) plane.close();
  }
  return costs;
}

/** @returns nanoseconds a packet, by our own clock: the kernel's figure is whole nanoseconds, of which some are 7 % */
function run(plane: Dataplane, load: Load, { repeat }: PacketOptions): number {
  // A flow is new once: of those to open, no more in all rounds than there are.
  const count = (load.flags === SYN ? Math.min(repeat, load.flows / 20) : repeat) / PARTS;
  const program = plane.programFd('pl_bench');
  const packet = packetOf(load);
  let least = Number.POSITIVE_INFINITY;
  // The least of some parts: other processes of this machine only ever add.
  for (let part = 0; part < PARTS; part++) {
    const start = process.hrtime.bigint();
    plane.native.programRun(program, packet, { repeat: count });
    least = Math.min(least, Number(process.hrtime.bigint() - start) / count);
  }
  return least;
}

function open(load: Load): Promise<Dataplane> {
  const flags = load.flags ?? ACK;
  const words = [MODE[load.mode], load.services, load.flows, load.random ? 1 : 0, flags, load.ipv6 ? 1 : 0];
  const bench = new Uint8Array(Uint32Array.from(words).buffer);
  return Dataplane.load({ object: 'build/bench.bpf.o', variables: { bench } });
}

async function filled(load: Load): Promise<Dataplane> {
  const plane = await open(load);
  await writeServices(plane, load);
  if (load.established) await writeFlows(plane, load);
  return plane;
}

function packetOf(load: Load): Bytes {
  const [from, to] = load.ipv6 ? ['[fd00::1]:1000', '[fd00::2]:80'] : ['10.244.1.1:1000', '10.96.0.1:80'];
  return encode(tcp(from!, to!, 'A', 'x'.repeat(20)));
}

/** The addresses of bench.bpf.c: its base in the last word. */
function address(base: number, ipv6: boolean | undefined): Bytes {
  const bytes = new Uint8Array(16);
  if (ipv6) bytes[0] = 0xfd;
  else bytes.fill(0xff, 10, 12);
  new DataView(bytes.buffer).setUint32(12, base);
  return bytes;
}

const vip = (i: number, load: Load): Bytes => address(0x0a600001 + i, load.ipv6);
const backend = (i: number, load: Load): Bytes => address(0x0a800001 + i, load.ipv6);

type Filled = 'addresses' | 'frontends' | 'slots' | 'backends' | 'flows';

async function writeMap(
  plane: Dataplane,
  map: Filled,
  entries: readonly (readonly [unknown, unknown])[],
): Promise<void> {
  const { keySize, valueSize, key, value } = MAPS[map];
  const keys = new Uint8Array(entries.length * keySize);
  const values = new Uint8Array(entries.length * valueSize);
  entries.forEach(([k, v], i) => {
    key.write(new DataView(keys.buffer), i * keySize, k as never);
    value.write(new DataView(values.buffer), i * valueSize, v as never);
  });
  const { errno } = await plane.native.mapUpdateBatch(plane.mapFd(map), keys, values, entries.length);
  if (errno !== 0) throw new Error(`filling ${map} failed with errno ${errno}`);
}

async function writeServices(plane: Dataplane, load: Load): Promise<void> {
  const each = <T>(make: (i: number) => T): T[] => Array.from({ length: load.services }, (_, i) => make(i));
  const flags = EndpointFlags.READY | EndpointFlags.SERVING;
  const range = { portMin: 0, portMax: 65_535, flags: AddressFlags.CLUSTER_IP };
  const lists = { clusterCount: 1, localSet: 0, localCount: 0 };
  const rest = { flags: FrontendFlags.HAS_ENDPOINTS, affinityS: 0, kind: Kind.CLUSTER_IP };
  await writeMap(
    plane,
    'addresses',
    each((i) => [vip(i, load), range]),
  );
  await writeMap(
    plane,
    'frontends',
    each((i) => [
      { addr: vip(i, load), port: 80, proto: TCP },
      { service: i + 1, clusterSet: i + 1, ...lists, ...rest },
    ]),
  );
  await writeMap(
    plane,
    'slots',
    each((i) => [
      { set: i + 1, index: 0 },
      { addr: backend(i, load), port: 8080, flags, set: i + 1, service: i + 1 },
    ]),
  );
  await writeMap(
    plane,
    'backends',
    each((i) => [{ service: i + 1, addr: backend(i, load), port: 8080 }, { flags }]),
  );
}

/** Both entries of each flow, as the programs leave them, and the gate open for all replies. */
async function writeFlows(plane: Dataplane, load: Load): Promise<void> {
  const entries: [unknown, unknown][] = [];
  for (let i = 0; i < load.flows; i++) {
    const service = (i * 7919) % load.services;
    const client = { addr: address(0x0af40101 + (i >> 14), load.ipv6), port: 1024 + (i & 0x3fff) };
    const shared = {
      seenNs: process.hrtime.bigint(),
      createdNs: 1n,
      clientPort: client.port,
      kind: Kind.CLUSTER_IP,
    };
    const ids = { service: service + 1, set: service + 1 };
    const put = (
      src: Bytes,
      sport: number,
      dst: Bytes,
      dport: number,
      nat: Bytes,
      natPort: number,
      flags: number,
    ) =>
      entries.push([
        { src, dst, sport, dport, proto: TCP },
        { ...shared, ...ids, natAddr: nat, natPort, flags },
      ]);
    const [v, b] = [vip(service, load), backend(service, load)];
    put(client.addr, client.port, v, 80, b, 8080, 0);
    put(b, 8080, client.addr, client.port, v, 80, FlowFlags.REPLY | FlowFlags.ANSWERED);
  }
  await writeMap(plane, 'flows', entries);
  const gate = plane.mapFd('reply_gate');
  const open = new Uint8Array(plane.native.mapInfo(gate).valueSize).fill(1);
  plane.native.mapUpdate(gate, new Uint8Array(4), open);
}
