import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KINDS } from '../helpers/apiserver/kinds.js';
import { startTestApiServer, type TestApiServer } from '../helpers/apiserver/server.js';
import { type Running, type RunOptions, runSource, temporaryFolder, until } from './collector.js';
import { node, service, serviceCIDR, slice } from './objects.js';

let server: TestApiServer;
let folder: ReturnType<typeof temporaryFolder>;
let running: Running[];

beforeEach(async () => {
  server = await startTestApiServer();
  folder = temporaryFolder();
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((one) => one.stop()));
  await server.close();
  folder.remove();
});

function run(options: RunOptions = {}): Running {
  const one = runSource({ ...options, kubeconfig: folder.write('kubeconfig', server.kubeconfig()) });
  running.push(one);
  return one;
}

function fill(): void {
  server.put(service('web'));
  server.put(service('api', '10.96.0.11'));
  server.put(slice('web-1', ['10.1.0.1', '10.1.0.2'], 'web'));
  server.put(node('node-1', 'b'));
  server.put(node('node-2'));
  server.put(serviceCIDR('kubernetes', '10.96.0.0/16', 'fd00::/112'));
}

describe('Kubernetes source', () => {
  it('tells everything that exists, then says once that it is synced', async () => {
    fill();
    const { sink, source } = run();
    await until('synced', () => sink.syncs === 1);
    expect([...sink.services.keys()].sort()).toEqual(['shop/api', 'shop/web']);
    expect(sink.slices.get('shop/web-1')?.endpoints.map((endpoint) => endpoint.address)).toEqual([
      '10.1.0.1',
      '10.1.0.2',
    ]);
    expect(sink.nodes).toEqual([
      {
        name: 'node-1',
        zone: 'b',
        addresses: [{ type: 'InternalIP', address: '192.168.0.2' }],
        podCIDRs: ['10.1.0.0/24'],
      },
    ]);
    expect(sink.ranges).toEqual(['10.96.0.0/16', 'fd00::/112']);
    expect(sink.calls.at(-1)).toBe('synced');
    expect(sink.problems).toEqual([]);
    expect(source.description).toBe(server.url);
    expect(source.status()).toMatchObject({ server: server.url, synced: true });
  });

  it('tells changes and deletions as they happen', async () => {
    fill();
    const { sink } = run();
    await until('synced', () => sink.syncs === 1);
    const before = sink.calls.length;
    server.put(slice('web-1', ['10.1.0.9'], 'web'));
    server.storage.delete(kindOf('services'), 'shop', 'api');
    server.put(service('new', '10.96.0.12'));
    server.storage.delete(kindOf('nodes'), '', 'node-1');
    server.put(serviceCIDR('more', '10.97.0.0/16'));
    await until('all told', () => sink.calls.length >= before + 5);
    expect(sink.calls.slice(before).sort()).toEqual([
      'node-',
      'ranges 10.96.0.0/16,10.97.0.0/16,fd00::/112',
      'service+ shop/new',
      'service- shop/api',
      'slice+ shop/web-1',
    ]);
    expect(sink.slices.get('shop/web-1')?.endpoints[0]?.address).toBe('10.1.0.9');
    expect(sink.syncs).toBe(1);
  });

  it('asks with the selectors of kube-proxy and leaves out what they leave out', async () => {
    fill();
    server.put(service('headless', 'None'));
    server.put(
      service('other', '10.96.0.13', { labels: { 'service.kubernetes.io/service-proxy-name': 'x' } }),
    );
    const headless = slice('headless-1', ['10.1.0.7'], 'headless');
    headless.metadata.labels!['service.kubernetes.io/headless'] = '';
    server.put(headless);
    const { sink } = run();
    await until('synced', () => sink.syncs === 1);
    expect([...sink.services.keys()].sort()).toEqual(['shop/api', 'shop/web']);
    expect([...sink.slices.keys()]).toEqual(['shop/web-1']);
    const watches = server.requests.map((request) => new URL(request.split(' ')[1]!, server.url));
    const services = watches.find((url) => url.pathname === '/api/v1/services')!.searchParams;
    expect(services.get('labelSelector')).toBe('!service.kubernetes.io/service-proxy-name');
    expect(services.get('fieldSelector')).toBe('spec.clusterIP!=None');
    expect(watches.find((url) => url.pathname === '/api/v1/nodes')!.searchParams.get('fieldSelector')).toBe(
      'metadata.name=node-1',
    );
    expect(
      watches.find((url) => url.pathname.endsWith('endpointslices'))!.searchParams.get('labelSelector'),
    ).toBe('!service.kubernetes.io/headless');
  });

  it('loses a Service that gets another proxy, and has it back when the label goes', async () => {
    fill();
    const { sink } = run();
    await until('synced', () => sink.syncs === 1);
    server.put(service('web', '10.96.0.10', { labels: { 'service.kubernetes.io/service-proxy-name': 'x' } }));
    await until('gone', () => !sink.services.has('shop/web'));
    server.put(service('web'));
    await until('back', () => sink.services.has('shop/web'));
  });

  it('keeps what was in force when an object becomes unusable, and says which field', async () => {
    fill();
    const { sink } = run();
    await until('synced', () => sink.syncs === 1);
    const broken = service('web');
    broken.spec.ports[0].port = 70000;
    server.put(broken);
    await until('said', () => sink.problems.length > 0);
    expect(sink.problems).toEqual(['Service shop/web: spec.ports[0].port: 70000 is not a port (1-65535)']);
    expect(sink.services.get('shop/web')?.ports[0]?.port).toBe(80);
    server.put(service('web', '10.96.0.99'));
    await until('mended', () => sink.services.get('shop/web')?.clusterIP === '10.96.0.99');
  });

  it('forgets a slice that no longer belongs to a Service', async () => {
    fill();
    const { sink } = run();
    await until('synced', () => sink.syncs === 1);
    const orphan = slice('web-1', ['10.1.0.1']);
    orphan.metadata.labels = {};
    server.put(orphan);
    await until('forgotten', () => !sink.slices.has('shop/web-1'));
  });

  it('goes on without its node, and says so', async () => {
    fill();
    const { sink } = run({ nodeName: 'node-9' });
    await until('synced', () => sink.syncs === 1);
    expect(sink.nodes).toEqual([undefined]);
    expect(sink.problems).toEqual(['Node node-9: there is no such node; is the node name right?']);
    server.put(node('node-9', 'z'));
    await until('node', () => sink.nodes.at(-1)?.zone === 'z');
  });

  it('goes on without ServiceCIDRs on a server that has none, says so once, and finds them later', async () => {
    fill();
    server.faults.add({ resource: 'servicecidrs', times: 3, fault: { kind: 'status', code: 404 } });
    const { sink, source } = run();
    await until('synced', () => sink.syncs === 1);
    expect(sink.ranges).toEqual([]);
    await until('found', () => sink.ranges?.length === 2);
    expect(sink.problems).toEqual(['servicecidrs: the server has no servicecidrs; going on without']);
    expect(source.status().resources.find((one) => one.resource === 'servicecidrs')).toMatchObject({
      absent: false,
    });
  });

  it('does not wait long for ServiceCIDRs, but for all else', async () => {
    fill();
    server.faults.add({ resource: 'servicecidrs', fault: { kind: 'hang' } });
    server.faults.add({ resource: 'endpointslices', times: 1, fault: { kind: 'slow', ms: 200 } });
    const { sink } = run({ timing: { rangesMs: 30 } });
    await until('the others', () => sink.services.size === 2 && sink.nodes.length === 1);
    expect(sink.syncs).toBe(0);
    await until('synced', () => sink.syncs === 1);
    expect(sink.slices.size).toBe(1);
    expect(sink.ranges).toBeUndefined();
  });

  it('goes on when the sink throws', async () => {
    fill();
    const one = run();
    const { sink } = one;
    const original = sink.service.bind(sink);
    sink.service = (name, value) => {
      if (name === 'shop/api') throw new Error('sink is full');
      original(name, value);
    };
    await until('synced', () => sink.syncs === 1);
    server.put(service('later', '10.96.0.14'));
    await until('later', () => sink.services.has('shop/later'));
    expect(sink.problems).toEqual(['services: sink is full']);
  });

  it('uses few connections and leaves none behind', async () => {
    fill();
    const one = run();
    await until('synced', () => one.sink.syncs === 1);
    expect(server.connections).toBeLessThanOrEqual(4);
    expect(server.faults.watches.size).toBe(4);
    await one.stop();
    await until('closed', () => server.faults.watches.size === 0);
  });
});

function kindOf(plural: string) {
  return KINDS.find((kind) => kind.plural === plural)!;
}
