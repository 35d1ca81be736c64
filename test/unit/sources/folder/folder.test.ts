import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFolderSource } from '../../../../src/sources/folder/folder.js';
import { createFolder, documents, load, pod, RecordingSink, service } from './harness.js';

describe('the folder source', () => {
  it('rejects before any call when there is no such directory', async () => {
    const folder = createFolder();
    const sink = new RecordingSink();
    const run = (directory: string) =>
      createFolderSource({ directory, nodeName: 'a' }).run(sink, new AbortController().signal);
    await expect(run(join(folder.path, 'none'))).rejects.toThrow(/none does not exist; create it/);
    writeFileSync(folder.stateFile, '');
    await expect(run(folder.stateFile)).rejects.toThrow(/is not a directory/);
    expect(sink.calls).toEqual([]);
  });

  it('tells everything there is, endpoints before Services, then that it is synced', async () => {
    const folder = createFolder({
      'web.yaml': documents(service('web'), pod('web-1', 'web', '10.244.0.1')),
      'sub/dir/node.yml':
        'kind: Node\nmetadata: { name: node-a, labels: { topology.kubernetes.io/zone: z } }\n',
      'more.json': JSON.stringify({
        kind: 'Service',
        metadata: { name: 'api' },
        spec: { ports: [{ port: 1 }] },
      }),
      '.hidden.yaml': service('hidden'),
      '.git/x.yaml': service('hidden'),
      'readme.md': '# not a manifest',
    });
    const sink = await load(folder);
    expect(sink.calls).toEqual([
      'ranges',
      'node',
      'slice shop/web:pods:0:IPv4',
      'service default/api',
      'service shop/web',
      'synced',
    ]);
    expect(sink.ranges).toEqual(['10.96.0.0/16', 'fd00:10:96::/112']);
    expect(sink.node_).toMatchObject({ name: 'node-a', zone: 'z' });
    expect(sink.problems).toEqual([]);
    expect(sink.endpoints('shop/web')).toEqual(['10.244.0.1 8080']);
  });

  it('tells an empty folder', async () => {
    const sink = await load(createFolder());
    expect(sink.calls).toEqual(['ranges', 'node', 'synced']);
    expect(sink.node_).toBeUndefined();
  });

  it('makes of a Service what an API server would', async () => {
    const folder = createFolder({
      'a.yaml': documents(
        service('lb', 'type: LoadBalancer, externalTrafficPolicy: Local, loadBalancerIP: 203.0.113.5'),
        service(
          'bare',
          'type: LoadBalancer, allocateLoadBalancerNodePorts: false',
          "annotations: { portolan.dev/load-balancer-ips: '203.0.113.6, 2001:db8::6' }",
        ),
        service('headless', 'clusterIP: None'),
        service('name', 'type: ExternalName, externalName: example.com'),
        service('old', '', "creationTimestamp: '2020-01-01T00:00:00Z'"),
      ),
    });
    const sink = await load(folder, { now: () => 1234 });
    const get = (name: string) => sink.services.get(`shop/${name}`)!;
    expect(get('lb')).toMatchObject({
      createdAt: 1234,
      loadBalancerIngress: [{ ip: '203.0.113.5', mode: 'VIP' }],
    });
    expect(get('lb').healthCheckNodePort).toBeGreaterThanOrEqual(30000);
    expect(get('lb').ports[0]!.nodePort).toBeGreaterThanOrEqual(30000);
    expect(get('lb').clusterIPs).toEqual([get('lb').clusterIP]);
    expect(get('bare').ports[0]!.nodePort).toBe(0);
    expect(get('bare').loadBalancerIngress.map(({ ip }) => ip)).toEqual(['203.0.113.6', '2001:db8::6']);
    expect(get('headless')).toMatchObject({ clusterIP: 'None', clusterIPs: [] });
    expect(get('name')).toMatchObject({ type: 'ExternalName', clusterIP: '', clusterIPs: [] });
    expect(get('old').createdAt).toBe(Date.parse('2020-01-01T00:00:00Z'));
  });

  it('uses slices and Endpoints by hand; those that a controller made only where its Pods are not there', async () => {
    const slice = (name: string, of: string, ip: string, labels = '') => `kind: EndpointSlice
metadata: { name: ${name}, namespace: shop, labels: { kubernetes.io/service-name: ${of}${labels} } }
addressType: IPv4
ports: [{ port: 8080 }]
endpoints: [{ addresses: [${ip}] }]
`;
    const managed = ', endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io';
    const endpoints = (name: string, ip: string) => `kind: Endpoints
metadata: { name: ${name}, namespace: shop }
subsets: [{ addresses: [{ ip: ${ip} }, { ip: 'fd00::1' }], notReadyAddresses: [{ ip: 10.9.9.9 }], ports: [{ port: 8080 }] }]
`;
    const folder = createFolder({
      'web.yaml': documents(service('web'), pod('web-1', 'web', '10.0.0.1'), endpoints('web', '10.0.0.8')),
      'web-slices.yaml': documents(
        slice('web-x', 'web', '10.0.0.7', managed),
        slice('web-y', 'web', '10.0.0.6'),
      ),
      'api.yaml': documents(service('api'), slice('api-x', 'api', '10.0.1.1', managed)),
      'old.yaml': documents(
        service('old').replace('selector: { app: old }, ', ''),
        endpoints('old', '10.0.2.1'),
      ),
    });
    const sink = await load(folder);
    expect(sink.endpoints('shop/web')).toEqual(['10.0.0.1 8080', '10.0.0.6 8080']);
    expect(sink.endpoints('shop/api')).toEqual(['10.0.1.1 8080']);
    expect(sink.endpoints('shop/old')).toEqual([
      '10.0.2.1 8080',
      '10.9.9.9 8080 unready unserving',
      'fd00::1 8080',
    ]);
  });

  it('names what is there twice, with both places; the first file by name wins', async () => {
    const folder = createFolder({
      'b.yaml': service('web', 'clusterIP: 10.96.0.2'),
      'a.yaml': documents(service('other'), service('web', 'clusterIP: 10.96.0.1')),
    });
    const sink = await load(folder);
    expect(sink.services.get('shop/web')!.clusterIP).toBe('10.96.0.1');
    expect(sink.complaints).toEqual([
      'b.yaml:1:1: Service shop/web is already in a.yaml:6:1, which is used; this one is not. Remove one',
    ]);
  });

  it('names clashes with the place', async () => {
    const folder = createFolder({
      'a.yaml': service('a', 'clusterIP: 10.96.0.1'),
      'b.yaml': service('b', 'clusterIP: 10.96.0.1'),
    });
    const sink = await load(folder);
    expect(sink.complaints).toEqual([
      'b.yaml:1:1: Service shop/b: cluster IP 10.96.0.1 belongs to Service shop/a, which came first; choose another',
    ]);
    expect(sink.services.get('shop/b')!.clusterIPs).toEqual([]);
  });

  it('names kinds that are not used once each, as harmless, and a Node that is missing', async () => {
    const deployment = 'apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\n';
    const folder = createFolder({
      'a.yaml': documents(
        deployment,
        'kind: ConfigMap\nmetadata: { name: c }\n',
        'kind: Node\nmetadata: { name: n }\n',
      ),
      'b.yaml': deployment,
    });
    const { problems } = await load(folder);
    expect(problems.map(({ where, severity }) => `${where} ${severity}`).sort()).toEqual([
      'Node node-a warning',
      'a.yaml:1:1 info',
      'a.yaml:5:1 info',
    ]);
    expect(problems.some(({ message }) => message.startsWith('Deployment default/web is not used'))).toBe(
      true,
    );
  });

  it('names files that it cannot read, and never waits for one', async () => {
    const folder = createFolder({ 'ok.yaml': service('ok') });
    symlinkSync('nowhere', join(folder.path, 'link.yaml'));
    symlinkSync('/dev/zero', join(folder.path, 'zero.yaml'));
    symlinkSync('.', join(folder.path, 'loop'));
    writeFileSync(join(folder.path, 'latin.yaml'), Buffer.from('kind: Servic\xe9\n', 'latin1'));
    const sink = await load(folder);
    expect([...sink.services.keys()]).toEqual(['shop/ok']);
    expect(sink.complaints).toEqual([
      'latin.yaml: cannot be read: it is not UTF-8 text',
      'link.yaml: cannot be read: a symbolic link to nothing',
      'zero.yaml: cannot be read: not a regular file',
    ]);
  });

  it('reads 100,000 endpoints of one Service in less than three seconds', async () => {
    const lines = [
      'kind: EndpointSlice',
      'metadata: { name: big, labels: { kubernetes.io/service-name: big } }',
      'addressType: IPv4',
      'ports: [{ port: 80 }]',
      'endpoints:',
    ];
    for (let i = 0; i < 100_000; i++) {
      lines.push(
        `- addresses: [10.${i >> 16}.${(i >> 8) & 255}.${i & 255}]`,
        '  conditions:',
        '    ready: true',
        '  nodeName: node-a',
      );
    }
    const folder = createFolder({
      'big.yaml': `${lines.join('\n')}\n---\nkind: Service\nmetadata: { name: big }\nspec: { ports: [{ port: 80 }] }\n`,
    });
    const before = performance.now();
    const sink = await load(folder);
    expect(performance.now() - before).toBeLessThan(3_000);
    expect(sink.slices.get('default/big')!.endpoints).toHaveLength(100_000);
  });

  it('does not take its own state file for a manifest', async () => {
    const folder = createFolder({ 'a.yaml': service('a') });
    const stateFile = join(folder.path, 'state.json');
    await load(folder, { stateFile });
    const sink = await load(folder, { stateFile });
    expect(existsSync(stateFile)).toBe(true);
    expect(sink.problems).toEqual([]);
  });
});
