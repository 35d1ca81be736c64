import { pino } from 'pino';
import { describe, expect, test, vi } from 'vitest';
import { configuration } from '../../../src/agent/config.js';
import { Controller } from '../../../src/agent/controller.js';
import type { EndpointSlice } from '../../../src/model/endpoint.js';
import type { Service } from '../../../src/model/service.js';
import type { Change, Engine, Outcome } from '../../../src/reconcile/engine.js';

const service = (over: Partial<Service> = {}): Service => ({
  namespace: 'shop',
  name: 'web',
  createdAt: 0,
  type: 'ClusterIP',
  clusterIP: '10.96.0.10',
  clusterIPs: ['10.96.0.10'],
  ipFamilies: ['IPv4'],
  ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 0 }],
  externalIPs: [],
  loadBalancerIngress: [],
  loadBalancerSourceRanges: [],
  affinitySeconds: 0,
  externalTrafficPolicy: 'Cluster',
  internalTrafficPolicy: 'Cluster',
  healthCheckNodePort: 0,
  socketHook: true,
  ...over,
});

const slice = (...addresses: string[]): EndpointSlice => ({
  namespace: 'shop',
  name: 'web-1',
  service: 'shop/web',
  family: 'IPv4',
  ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
  endpoints: addresses.map((address) => ({
    address,
    ready: true,
    serving: true,
    terminating: false,
    nodeName: 'node-a',
    pod: '',
    zoneHints: [],
    nodeHints: [],
  })),
});

class RecordingEngine implements Engine {
  readonly name = 'recording';
  readonly commits: (readonly Change[])[] = [];
  fails = (_: Change): Error | undefined => undefined;
  pruned = 0;

  async adopt(): Promise<void> {}

  async commit(changes: readonly Change[]): Promise<readonly Outcome[]> {
    this.commits.push(changes);
    return changes.map((change) => {
      const error = this.fails(change);
      return error === undefined ? { name: change.name } : { name: change.name, error };
    });
  }

  async prune(): Promise<readonly Outcome[]> {
    this.pruned++;
    return [];
  }
}

function setup() {
  const engine = new RecordingEngine();
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const facts = vi.fn(async () => {});
  const controller = new Controller({
    engine,
    config: configuration({ nodeName: 'node-a' }, 'test'),
    log,
    now: () => performance.now(),
    onNodeFacts: facts,
  });
  return { engine, lines, facts, controller };
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

describe('Controller', () => {
  test('writes nothing before the source and the interfaces are complete', async () => {
    const { engine, controller, facts } = setup();
    controller.service('shop/web', service());
    controller.interfaces([{ interface: 'eth0', address: '192.0.2.10' }]);
    await settle();
    expect(engine.commits).toEqual([]);
    controller.synced();
    await controller.serving;
    expect(engine.commits).toHaveLength(1);
    expect(facts).toHaveBeenCalled();
    expect(engine.pruned).toBe(1);
    await controller.stop();
  });

  test('programs that could not be loaded are tried again, and it serves only with them', async () => {
    const { controller, facts } = setup();
    facts.mockRejectedValueOnce(new Error('the verifier had no memory'));
    const serving = vi.fn();
    void controller.serving.then(serving);
    controller.interfaces([]);
    controller.synced();
    await settle();
    expect(serving).not.toHaveBeenCalled();
    controller.service('shop/web', service());
    await controller.serving;
    expect(facts).toHaveBeenCalledTimes(2);
    await controller.stop();
  });

  test('what comes together is one round; an endpoint change touches its Service alone', async () => {
    const { engine, controller } = setup();
    controller.interfaces([]);
    controller.service('shop/web', service());
    controller.service(
      'shop/api',
      service({ name: 'api', clusterIP: '10.96.0.11', clusterIPs: ['10.96.0.11'] }),
    );
    controller.synced();
    await controller.serving;
    expect(engine.commits[0]).toHaveLength(2);
    controller.slice('shop/web-1', slice('10.244.0.1'));
    controller.slice('shop/web-1', slice('10.244.0.1', '10.244.0.2'));
    await settle();
    expect(engine.commits).toHaveLength(2);
    expect(engine.commits[1]?.map(({ name }) => name)).toEqual(['shop/web']);
    expect(engine.commits[1]?.[0]?.plan?.ports[0]?.cluster).toHaveLength(2);
    await controller.stop();
  });

  test('a Service that fails is named once, retried, and its recovery is told', async () => {
    const { engine, controller, lines } = setup();
    let broken = true;
    engine.fails = ({ name }) =>
      broken && name === 'shop/web' ? new Error('shop/web: the map is full') : undefined;
    controller.interfaces([]);
    controller.service('shop/web', service());
    controller.synced();
    await controller.serving;
    await vi.waitFor(() => expect(engine.commits.length).toBeGreaterThan(1), { timeout: 3000 });
    expect(lines.filter((line) => line.includes('the map is full'))).toHaveLength(1);
    broken = false;
    await vi.waitFor(
      () => expect(lines.some((line) => line.includes('is programmed, after failures'))).toBe(true),
      {
        timeout: 5000,
      },
    );
    await controller.stop();
  });

  test('a new address on an interface changes node ports, a link-local one nothing', async () => {
    const { engine, controller } = setup();
    controller.interfaces([{ interface: 'eth0', address: '192.0.2.10' }]);
    controller.service(
      'shop/web',
      service({ type: 'NodePort', ports: [{ name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 }] }),
    );
    controller.synced();
    await controller.serving;
    controller.interfaces([
      { interface: 'eth0', address: '192.0.2.10' },
      { interface: 'veth1', address: 'fe80::1' },
    ]);
    await settle();
    expect(engine.commits).toHaveLength(1);
    controller.interfaces([
      { interface: 'eth0', address: '192.0.2.10' },
      { interface: 'eth1', address: '198.51.100.1' },
    ]);
    await settle();
    expect(engine.commits).toHaveLength(2);
    const addresses = engine.commits[1]?.[0]?.plan?.ports[0]?.frontends.map((frontend) => frontend.address);
    expect(addresses).toContain('198.51.100.1');
    await controller.stop();
  });

  test('an object of the node that is missing is said, and serving goes on', async () => {
    const { controller, lines, engine } = setup();
    controller.node({ name: 'node-a', zone: 'a', addresses: [], podCIDRs: [] });
    controller.interfaces([]);
    controller.service('shop/web', service());
    controller.synced();
    await controller.serving;
    controller.node(undefined);
    await settle();
    expect(lines.some((line) => line.includes('there is no Node object'))).toBe(true);
    expect(engine.commits.length).toBeGreaterThan(0);
    await controller.stop();
  });
});
