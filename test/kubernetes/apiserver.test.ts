// Is the test API server one? Kubernetes' own client library and plain HTTP requests say so.

import https from 'node:https';
import {
  CoreV1Api,
  DiscoveryV1Api,
  KubeConfig,
  makeInformer,
  type V1EndpointSlice,
  type V1Service,
} from '@kubernetes/client-node';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KINDS } from '../helpers/apiserver/kinds.js';
import { startTestApiServer, type TestApiServer } from '../helpers/apiserver/server.js';
import { until } from './collector.js';
import { node, service, slice } from './objects.js';

let server: TestApiServer;
const SERVICES = KINDS.find((kind) => kind.plural === 'services')!;

beforeAll(async () => {
  server = await startTestApiServer({ bookmarkMs: 20 });
});

afterAll(() => server.close());

beforeEach(async () => {
  server.faults.clear();
  await until('no watch is left', () => server.faults.watches.size === 0);
  for (const kind of KINDS) {
    for (const { metadata } of server.storage.snapshot(kind).objects) {
      server.storage.delete(kind, metadata.namespace ?? '', metadata.name!);
    }
  }
});

interface Answer {
  readonly code: number;
  // biome-ignore lint/suspicious/noExplicitAny: JSON of any kind
  readonly body: any;
}

function request(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = https.request(
      server.url + path,
      {
        method,
        ca: server.certificates.ca,
        headers: { authorization: 'Bearer test-token', ...headers },
        agent: false,
      },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        answer.on('end', () => resolve({ code: answer.statusCode!, body: JSON.parse(text) }));
      },
    );
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
}

/** Lines of a watch until it ends. */
async function watch(
  path: string,
): Promise<{ type: string; object: { metadata: { name?: string; resourceVersion: string } } }[]> {
  return new Promise((resolve, reject) => {
    https
      .get(
        server.url + path,
        { ca: server.certificates.ca, headers: { authorization: 'Bearer test-token' }, agent: false },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8').on('data', (chunk: string) => {
            text += chunk;
          });
          answer.on('end', () =>
            resolve(
              text
                .split('\n')
                .filter((line) => line !== '')
                .map((line) => JSON.parse(line)),
            ),
          );
          answer.on('error', reject);
        },
      )
      .on('error', reject);
  });
}

describe('test API server', () => {
  it('keeps informers of @kubernetes/client-node in step', async () => {
    // A server of its own: their stop() leaves a watch behind when it is being connected.
    const server = await startTestApiServer();
    server.put(service('web'));
    server.put(slice('web-1', ['10.1.0.1']));
    const config = new KubeConfig();
    config.loadFromString(server.kubeconfig());
    const core = config.makeApiClient(CoreV1Api);
    const discovery = config.makeApiClient(DiscoveryV1Api);
    const services = makeInformer<V1Service>(config, '/api/v1/services', () =>
      core.listServiceForAllNamespaces(),
    );
    const slices = makeInformer<V1EndpointSlice>(config, '/apis/discovery.k8s.io/v1/endpointslices', () =>
      discovery.listEndpointSliceForAllNamespaces(),
    );
    await Promise.all([services.start(), slices.start()]);
    expect(services.list().map((one) => one.metadata?.name)).toEqual(['web']);
    expect(slices.list()[0]?.endpoints[0]?.addresses).toEqual(['10.1.0.1']);
    await until('watching', () => server.faults.watches.size === 2);
    await core.createNamespacedService({
      namespace: 'shop',
      body: service('api', '10.96.0.11') as unknown as V1Service,
    });
    await core.deleteNamespacedService({ namespace: 'shop', name: 'web' });
    server.put(slice('web-1', ['10.1.0.2']));
    await until(
      'services',
      () =>
        services
          .list()
          .map((one) => one.metadata?.name)
          .join() === 'api',
    );
    await until('slices', () => slices.list()[0]?.endpoints[0]?.addresses[0] === '10.1.0.2');
    server.storage.compact();
    server.faults.breakWatches('expired');
    server.put(service('later', '10.96.0.12'));
    await until('relisted', () => services.list().length === 2);
    await Promise.all([services.stop(), slices.stop()]);
    await server.close();
  });

  it('creates, replaces, patches and deletes, with conflicts', async () => {
    const path = '/api/v1/namespaces/shop/services';
    const created = await request('POST', path, service('web'));
    expect(created.code).toBe(201);
    expect(created.body.metadata).toMatchObject({ name: 'web', namespace: 'shop', uid: expect.any(String) });
    expect(await request('POST', path, service('web'))).toMatchObject({
      code: 409,
      body: { reason: 'AlreadyExists' },
    });
    const patch = { metadata: { labels: { a: 'b' } }, spec: { externalIPs: ['203.0.113.5'] } };
    const patched = await request('PATCH', `${path}/web`, patch, {
      'content-type': 'application/merge-patch+json',
    });
    expect(patched.body).toMatchObject({
      metadata: { labels: { a: 'b' } },
      spec: { clusterIP: '10.96.0.10', externalIPs: ['203.0.113.5'] },
    });
    expect(await request('PUT', `${path}/web`, created.body)).toMatchObject({
      code: 409,
      body: { reason: 'Conflict' },
    });
    expect((await request('PUT', `${path}/web`, { ...created.body, metadata: { name: 'web' } })).code).toBe(
      200,
    );
    expect((await request('DELETE', `${path}/web`)).code).toBe(200);
    expect(await request('GET', `${path}/web`)).toMatchObject({
      code: 404,
      body: { kind: 'Status', reason: 'NotFound' },
    });
    expect(
      await request('POST', path, 'metadata: {name: y}\nspec: {clusterIP: 10.96.0.9}', {
        'content-type': 'application/yaml',
      }),
    ).toMatchObject({ code: 201 });
    expect((await request('POST', path, '{"metadata":')).code).toBe(400);
    expect((await request('GET', '/api/v1/secrets')).code).toBe(404);
    expect((await request('GET', '/version')).body.major).toBe('1');
  });

  it('lists in pages of one snapshot, until history is compacted', async () => {
    for (let i = 0; i < 5; i++) server.put(service(`s${i}`));
    const first = await request('GET', '/api/v1/services?limit=2');
    expect(first.body.metadata.remainingItemCount).toBe(3);
    server.storage.delete(SERVICES, 'shop', 's4');
    const second = await request('GET', `/api/v1/services?limit=10&continue=${first.body.metadata.continue}`);
    const names = [...first.body.items, ...second.body.items].map(
      (item: { metadata: { name: string } }) => item.metadata.name,
    );
    expect(names).toEqual(['s0', 's1', 's2', 's3', 's4']);
    expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
    server.storage.compact();
    const late = await request('GET', `/api/v1/services?limit=10&continue=${first.body.metadata.continue}`);
    expect(late).toMatchObject({ code: 410, body: { reason: 'Expired' } });
  });

  it('selects by labels and fields, as sets, values and absence', async () => {
    server.put(service('a', '10.96.0.1', { labels: { tier: 'front', proxy: 'x' } }));
    server.put(service('b', 'None', { labels: { tier: 'back' } }));
    server.put(service('c', '10.96.0.3'));
    const names = async (query: string) =>
      (await request('GET', `/api/v1/services?${query}`)).body.items
        .map((item: { metadata: { name: string } }) => item.metadata.name)
        .join('');
    expect(await names('labelSelector=!proxy')).toBe('bc');
    expect(await names('labelSelector=tier')).toBe('ab');
    expect(await names('labelSelector=tier%20in%20(front,back),!proxy')).toBe('b');
    expect(await names('labelSelector=tier%20notin%20(front)')).toBe('bc');
    expect(await names('labelSelector=tier!%3Dfront')).toBe('bc');
    expect(await names('fieldSelector=spec.clusterIP!%3DNone')).toBe('ac');
    expect(await names('fieldSelector=metadata.name%3Da,metadata.namespace%3Dshop')).toBe('a');
    expect((await request('GET', '/api/v1/services?fieldSelector=spec.unknown%3Da')).code).toBe(400);
  });

  it('watches from a version, with bookmarks, and not from one that is gone', async () => {
    const old = server.put(service('a')).metadata.resourceVersion!;
    server.put(service('b', '10.96.0.11'));
    server.put(node('node-1'));
    const lines = await watch(
      `/api/v1/services?watch=1&resourceVersion=${old}&allowWatchBookmarks=true&timeoutSeconds=1`,
    );
    expect(lines[0]).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'b' } } });
    expect(lines.at(-1)).toMatchObject({
      type: 'BOOKMARK',
      object: { metadata: { resourceVersion: String(server.storage.version) } },
    });
    server.storage.compact();
    expect((await request('GET', `/api/v1/services?watch=1&resourceVersion=${old}`)).code).toBe(410);
  });

  it('turns a change of what a selector matches into ADDED and DELETED', async () => {
    server.put(service('a'));
    const seen = watch(
      '/api/v1/services?watch=1&labelSelector=!proxy&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1',
    );
    await until('watching', () => server.faults.watches.size > 0);
    server.put(service('a', '10.96.0.10', { labels: { proxy: 'x' } }));
    server.put(service('a', '10.96.0.10', { labels: { proxy: 'y' } }));
    server.put(service('a'));
    const types = (await seen)
      .map((line) => line.type)
      .filter((type, i, all) => type !== 'BOOKMARK' || all[i - 1] !== 'BOOKMARK');
    expect(types.slice(0, 4)).toEqual(['ADDED', 'BOOKMARK', 'DELETED', 'ADDED']);
  });

  it('knows who asks', async () => {
    expect(
      (await request('GET', '/api/v1/services', undefined, { authorization: 'Bearer wrong' })).code,
    ).toBe(401);
    expect((await request('GET', '/api/v1/services', undefined, { authorization: '' })).code).toBe(401);
    server.access.denied.add('list services');
    const denied = await request('GET', '/api/v1/services');
    expect(denied.body).toMatchObject({
      code: 403,
      message:
        'services is forbidden: User "system:kube-proxy" cannot list resource "services" in API group "" at the cluster scope',
    });
    server.access.denied.clear();
  });
});
