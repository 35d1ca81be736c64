import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Flow, FlowFlags, type FlowKey, flowCodec, flowKeyCodec } from '../../src/abi/layout.gen.js';
import { addressBytes } from '../../src/dataplane/bpf/encode.js';
import { forwardKey, replyKey } from '../../src/dataplane/bpf/flow-codec.js';
import { sweepFlows } from '../../src/dataplane/bpf/gc.js';
import { kernelServices } from '../../src/dataplane/bpf/read.js';
import { forgetDeadSockets, staleUdpSockets } from '../../src/dataplane/bpf/stale-sockets.js';
import { KernelMaps } from './kernel-maps.js';
import { changesOf, clusterIP, endpoint, service } from './plans.js';

const SECOND = 1_000_000_000n;
const NOW = 1_000_000n * SECOND;
const nowNs = (): number => Number(NOW);
const { REPLY, ANSWERED, FIN } = FlowFlags;

interface FlowSpec {
  readonly vip: string;
  readonly port: number;
  readonly client: number;
  readonly proto?: number;
  readonly idle: bigint;
  readonly replyIdle?: bigint;
  readonly forwardFlags?: number;
  readonly replyFlags?: number;
}

describe('the conntrack sweep', () => {
  let kernel: KernelMaps;
  beforeEach(async () => {
    kernel = await new KernelMaps('sweep').open();
  });
  afterEach(() => kernel.close());

  function addFlow(spec: FlowSpec, map: 'flows' | 'opening' = 'flows'): { key: FlowKey; reply: FlowKey } {
    const {
      vip,
      port,
      client,
      proto = 6,
      idle,
      replyIdle = idle,
      forwardFlags = 0,
      replyFlags = ANSWERED,
    } = spec;
    const key = {
      src: addressBytes('10.244.0.5'),
      dst: addressBytes(vip),
      sport: client,
      dport: port,
      proto,
    };
    const flow: Flow = {
      seenNs: NOW - idle * SECOND,
      createdNs: NOW - 100_000n * SECOND,
      natAddr: addressBytes('10.244.0.7'),
      natPort: 8080,
      clientPort: client,
      service: 1,
      set: 1,
      flags: forwardFlags,
      kind: 1,
    };
    const reply = replyKey(key, flow);
    kernel.maps[map].set(key, flow);
    kernel.maps[map].set(reply, {
      ...flow,
      seenNs: NOW - replyIdle * SECOND,
      natAddr: key.dst,
      natPort: port,
      flags: replyFlags | REPLY,
    });
    expect(forwardKey(reply, kernel.maps[map].get(reply)!)).toEqual(key);
    return { key, reply };
  }

  const sweep = (addresses: readonly string[] = []) =>
    sweepFlows({ native: kernel.native, maps: kernel.maps, nowNs, addresses });

  it('deletes both entries of flows that are over, and no others', async () => {
    const vip = '10.96.0.10';
    const live = [
      addFlow({ vip, port: 80, client: 1001, idle: 80_000n }),
      addFlow({ vip, port: 80, client: 1002, idle: 1000n, forwardFlags: FIN }),
      addFlow({ vip, port: 53, client: 1003, proto: 17, idle: 1000n, replyIdle: 5n }),
    ];
    const over = [
      addFlow({ vip, port: 80, client: 2001, idle: 90_000n }),
      addFlow({ vip, port: 80, client: 2002, idle: 60n, forwardFlags: FIN, replyFlags: ANSWERED | FIN }),
      addFlow({ vip, port: 53, client: 2003, proto: 17, idle: 150n }),
    ];
    const result = await sweep();
    expect(result).toMatchObject({ entries: 12, deleted: 6, nextMs: 30_000 });
    for (const { key, reply } of live) {
      expect(kernel.maps.flows.get(key)).toBeDefined();
      expect(kernel.maps.flows.get(reply)).toBeDefined();
    }
    for (const { key, reply } of over) {
      expect(kernel.maps.flows.get(key)).toBeUndefined();
      expect(kernel.maps.flows.get(reply)).toBeUndefined();
    }
  });

  it('keeps the address of a deleted Service while its flows live', async () => {
    let now = 0;
    const engine = kernel.engine({ now: () => now });
    await engine.adopt();
    const plan = service(
      'web',
      [clusterIP('10.96.0.10', 80), clusterIP('10.96.0.10', 443)],
      [endpoint('10.244.0.7')],
    );
    await engine.commit(changesOf([plan]));
    const address = () => kernel.maps.addresses.get(addressBytes('10.96.0.10'));
    expect(address()).toEqual({ portMin: 80, portMax: 443, flags: 1 });
    const { key } = addFlow({ vip: '10.96.0.10', port: 443, client: 1001, idle: 5n }, 'opening');
    await engine.commit([{ name: plan.name, plan: undefined }]);
    expect(address()).toEqual({ portMin: 80, portMax: 443, flags: 0 });
    expect(engine.slackAddresses()).toEqual([]);
    now = 5000;
    const slack = engine.slackAddresses();
    expect(slack).toEqual(['10.96.0.10']);
    const { live } = await sweep(slack);
    expect(live.get('10.96.0.10')).toEqual({ min: 443, max: 443 });
    await engine.tightenAddresses(slack, live);
    expect(address()).toEqual({ portMin: 443, portMax: 443, flags: 0 });
    kernel.maps.opening.delete(key);
    await engine.tightenAddresses(slack, (await sweep(slack)).live);
    expect(address()).toBeUndefined();
    expect(engine.slackAddresses()).toEqual([]);
  });

  it('does not hold up the event loop with half a million entries', async () => {
    const count = 500_000;
    const keys = new Uint8Array(count * flowKeyCodec.size);
    const values = new Uint8Array(count * flowCodec.size);
    const { key, reply } = addFlow({ vip: '10.96.0.10', port: 80, client: 1, idle: 5n });
    const flow = kernel.maps.flows.get(key)!;
    for (const k of [key, reply]) kernel.maps.flows.delete(k);
    const [k, v] = [new DataView(keys.buffer), new DataView(values.buffer)];
    for (let i = 0; i < count; i++) {
      const src = Uint8Array.from([...key.src.subarray(0, 14), i >> 16, (i >> 8) & 255]);
      flowKeyCodec.write(k, i * flowKeyCodec.size, { ...key, src, sport: i & 255 });
      flowCodec.write(v, i * flowCodec.size, flow);
    }
    expect(await kernel.native.mapUpdateBatch(kernel.maps.flows.fd, keys, values, count)).toMatchObject({
      errno: 0,
    });
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    last = performance.now();
    const result = await sweep(['10.96.0.10']);
    clearInterval(timer);
    console.log(`longest gap ${longest.toFixed(1)} ms`);
    expect(result).toMatchObject({ entries: count, deleted: 0, nextMs: 5000 });
    // 20 alone on the machine; a sweep in one go would take half a second.
    expect(longest).toBeLessThan(100);
  });

  it('counts live flows, and finds UDP sockets whose endpoint is gone', async () => {
    const engine = kernel.engine();
    await engine.adopt();
    const vip = clusterIP('10.96.0.53', 53, { protocol: 'UDP' });
    let gone = 0;
    await engine.commit(
      changesOf([service('dns', [vip], [endpoint('10.244.0.7', 53), endpoint('10.244.0.8', 53)])]),
    );
    addFlow({ vip: '10.96.0.53', port: 53, client: 1001, proto: 17, idle: 5n });
    addFlow({ vip: '10.96.0.53', port: 53, client: 1002, proto: 17, idle: 500n });
    const socket = (backend: string) => ({
      createdNs: NOW,
      netns: 77n,
      frontend: addressBytes('10.96.0.53'),
      backend: addressBytes(backend),
      frontendPort: 53,
      backendPort: 53,
      service: 1,
      proto: 17,
      family: 4,
      kind: 1,
    });
    kernel.maps.sockets.set(1n, socket('10.244.0.7'));
    kernel.maps.sockets.set(2n, socket('10.244.0.8'));
    const [served] = await kernelServices(kernel.maps, { native: kernel.native, nowNs: nowNs() });
    expect(served).toMatchObject({ key: 'shop/dns:http/UDP/IPv4', liveFlows: 3, rejected: 0 });
    expect(await staleUdpSockets(kernel.maps)).toEqual(new Map());
    const next = kernel.engine({ onUdpBackendsGone: () => gone++ });
    await next.adopt();
    await next.commit(changesOf([service('dns', [vip], [endpoint('10.244.0.7', 53)])]));
    expect(gone).toBe(1);
    expect(await staleUdpSockets(kernel.maps)).toEqual(
      new Map([[77n, [{ family: 4, protocol: 17, cookie: 2n }]]]),
    );
    expect(await forgetDeadSockets(kernel.maps, new Set([77n]), nowNs())).toBe(0);
    expect(await forgetDeadSockets(kernel.maps, new Set([78n]), nowNs())).toBe(2);
  });
});
