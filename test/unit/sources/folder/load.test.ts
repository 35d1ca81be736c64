import { describe, expect, it } from 'vitest';
import { loadManifests } from '../../../../src/sources/folder/load.js';
import { objectKey } from '../../../../src/sources/folder/objects.js';
import { documents, service } from './harness.js';

function keys(text: string): readonly string[] {
  return loadManifests(text).objects.map(({ object }) => objectKey(object));
}

/** `line:column message` of each fault. */
function faults(text: string): readonly string[] {
  return loadManifests(text).faults.map(({ at, message }) => `${at.line}:${at.column} ${message}`);
}

describe('loadManifests() finds objects', () => {
  it('in several documents of a file, whatever their markers look like', () => {
    const text = `# a comment\n--- # first\n${service('a')}\n---\n---\n# nothing here\n---\n${service('b')}...\n${service('c')}`;
    expect(keys(text)).toEqual(['Service shop/a', 'Service shop/b', 'Service shop/c']);
    expect(faults(text)).toEqual([]);
  });

  it('in JSON with tabs, in files of Windows, with a YAML directive, in nothing', () => {
    const json = JSON.stringify(
      { kind: 'Pod', metadata: { name: 'a' }, status: { podIP: '10.0.0.1' } },
      null,
      '\t',
    );
    expect(keys(json)).toEqual(['Pod default/a']);
    expect(keys(documents(service('a'), service('b')).replaceAll('\n', '\r\n'))).toHaveLength(2);
    expect(keys(`%YAML 1.2\n---\n${service('a')}...\n%YAML 1.2\n---\n${service('b')}`)).toHaveLength(2);
    expect(loadManifests('')).toMatchObject({ objects: [], faults: [] });
    expect(loadManifests('# only a comment\n')).toMatchObject({ objects: [], faults: [] });
  });

  it('in List, typed lists and lists in lists, each with its own place', () => {
    const text = `kind: List
apiVersion: v1
items:
  - kind: Node
    apiVersion: v1
    metadata: { name: node-a }
  - kind: PodList
    apiVersion: v1
    items:
      - metadata: { name: a }
      - metadata: { name: b }
`;
    const { objects } = loadManifests(text);
    expect(objects.map(({ object, at }) => [objectKey(object), at.line, at.column])).toEqual([
      ['Node node-a', 4, 5],
      ['Pod default/a', 10, 9],
      ['Pod default/b', 11, 9],
    ]);
  });

  it('with anchors and merge keys', () => {
    const { objects } = loadManifests(`kind: Pod
metadata: { name: a, labels: &labels { app: web } }
---
kind: Service
metadata: { name: web, labels: &l { app: web } }
spec: { selector: { <<: *l, tier: front }, ports: [{ port: 80 }] }
`);
    expect(objects[1]?.object).toMatchObject({
      selector: [
        ['app', 'web'],
        ['tier', 'front'],
      ],
    });
  });

  it('and names the kinds that it does not use; Knative has a Service of its own', () => {
    const text = documents(
      'apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web, namespace: shop }\n',
      'apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: { name: web }\n',
      'apiVersion: example.com/v1\nkind: WishList\nmetadata: { name: mine }\n',
    );
    const { objects, faults: wrong, unused } = loadManifests(text);
    expect([objects, wrong]).toEqual([[], []]);
    expect(unused.map(({ kind, name, at }) => `${kind} ${name} ${at.line}`)).toEqual([
      'Deployment shop/web 1',
      'Service (serving.knative.dev/v1) default/web 5',
      'WishList default/mine 9',
    ]);
  });
});

describe('loadManifests() says what is wrong, and exactly where', () => {
  const good = service('good');
  it.each([
    ['a duplicate key', 'kind: Service\nmetadata: { name: a }\nkind: Pod\n', /^3:1 Map keys must be unique/],
    ['a tab as indentation', 'kind: Service\nmetadata:\n\tname: a\n', /^3:1 Tabs are not allowed/],
    ['an open quote', 'kind: Service\nmetadata: { name: "a }\n', /^3:1 Missing closing "quote/],
    ['an open bracket', 'kind: Service\nspec:\n  ports: [1, 2\n  type: x\n', /^4:3 Flow sequence/],
    ['a mapping in a value', 'kind: Service\nmetadata:\n  name: a: b\n', /^3:9 Nested mappings/],
    [
      'a reserved character',
      'kind: Service\nmetadata:\n  name: @a\n',
      /^3:9 Plain value cannot start with reserved/,
    ],
    ['an unknown alias', 'kind: Service\nmetadata: *nobody\n', /^2:\d+ .*alias/],
  ])('%s', (_, bad, expected) => {
    const text = documents(good, bad, service('other'));
    const loaded = loadManifests(text);
    expect(keys(text)).toEqual(['Service shop/good', 'Service shop/other']);
    expect(loaded.unreadable).toBe(true);
    const offset = good.split('\n').length;
    const [first] = loaded.faults;
    expect(`${first!.at.line - offset}:${first!.at.column} ${first!.message}`).toMatch(expected);
  });

  const meta = 'apiVersion: v1\nkind: Service\nmetadata: { name: a }\n';
  it.each([
    [
      'a port that is text',
      `${meta}spec:\n  ports:\n    - port: eighty\n`,
      '6:13 Service default/a: spec.ports[0].port: "eighty" is not a port (1-65535)',
    ],
    [
      'a port out of range',
      `${meta}spec:\n  ports: [{ port: 70000 }]\n`,
      '5:19 Service default/a: spec.ports[0].port: 70000 is not a port (1-65535)',
    ],
    [
      'a port that is missing',
      `${meta}spec:\n  ports:\n    - name: http\n`,
      '6:7 Service default/a: spec.ports[0].port: is missing',
    ],
    [
      'two ports of one number',
      `${meta}spec:\n  ports:\n    - { name: a, port: 80 }\n    - { name: b, port: 80 }\n`,
      '7:24 Service default/a: spec.ports[1].port: TCP 80 is already used',
    ],
    [
      'a cluster IP that is none',
      `${meta}spec: { clusterIP: 10.96.0.300 }\n`,
      '4:20 Service default/a: spec.clusterIP: "10.96.0.300" is not an IP address',
    ],
    [
      'cluster IPs of one family',
      `${meta}spec: { clusterIPs: [10.96.0.1, 10.96.0.2] }\n`,
      '4:33 Service default/a: spec.clusterIPs[1]: is the second of family IPv4',
    ],
    [
      'a cluster IP of the other family',
      `${meta}spec:\n  ipFamilies: [IPv6]\n  clusterIP: 10.96.0.1\n`,
      '6:14 Service default/a: spec.clusterIP: "10.96.0.1" is not IPv6, which ipFamilies[0] says',
    ],
    [
      'two families in a single stack',
      `${meta}spec:\n  ipFamilyPolicy: SingleStack\n  ipFamilies: [IPv4, IPv6]\n`,
      '6:15 Service default/a: spec.ipFamilies: has two items, but ipFamilyPolicy SingleStack allows one',
    ],
    [
      'a node port without the type',
      `${meta}spec: { ports: [{ port: 80, nodePort: 30080 }] }\n`,
      '4:39 Service default/a: spec.ports[0].nodePort: may not be set in a Service of type ClusterIP',
    ],
    [
      'a target port in quotes',
      `${meta}spec: { ports: [{ port: 80, targetPort: "8080" }] }\n`,
      '4:41 Service default/a: spec.ports[0].targetPort: "8080" is neither a port nor the name of one (write a number without quotes)',
    ],
    [
      'a number in the selector',
      `${meta}spec:\n  selector: { version: 1 }\n`,
      '5:24 Service default/a: spec.selector["version"]: 1 is not a string; put it in quotes',
    ],
    [
      'an unknown type',
      `${meta}spec: { type: Clusterip }\n`,
      '4:15 Service default/a: spec.type: "Clusterip" is none of ClusterIP, NodePort, LoadBalancer, ExternalName',
    ],
    ['a spec that is a list', `${meta}spec: [1]\n`, '4:7 Service default/a: spec: [1] is not an object'],
    [
      'a name with capitals',
      'kind: Service\nmetadata:\n  name: Web\n',
      '3:9 Service default/Web: metadata.name: "Web" is not a name (a-z, 0-9, "-" and ".", at most 253 characters)',
    ],
    ['no name', 'kind: Service\nmetadata: { namespace: shop }\n', '2:11 metadata.name: is missing'],
    ['no kind', 'metadata: { name: a }\n', '1:1 kind: is missing'],
    ['text', 'hello\n', '1:1 this is not a Kubernetes object: a mapping with kind and metadata is needed'],
    [
      'a bad address of a load balancer',
      `${meta}spec: { type: LoadBalancer, loadBalancerIP: nowhere }\n`,
      '4:45 Service default/a: spec.loadBalancerIP: "nowhere" is not an IP address',
    ],
    [
      'a bad address of a Pod',
      "kind: Pod\nmetadata: { name: a }\nstatus: { podIPs: [{ ip: '10.0.0' }] }\n",
      '3:26 Pod default/a: status.podIPs[0].ip: "10.0.0" is not an IP address',
    ],
    [
      'a bad port of Endpoints',
      'kind: Endpoints\nmetadata: { name: a }\nsubsets:\n  - ports: [{ port: 0.5 }]\n',
      '4:21 Endpoints default/a: subsets[0].ports[0].port: 0.5 is not a port (1-65535)',
    ],
    [
      'an item of a list',
      'kind: List\nitems:\n  - kind: Pod\n    metadata:\n      name: 5\n',
      '5:13 metadata.name: 5 is not a string',
    ],
    ['a List without items in it', 'kind: List\nitems: 5\n', '2:8 items: is not a list'],
  ])('%s', (_, text, expected) => {
    expect(faults(text)).toEqual([expected]);
    expect(keys(text)).toEqual([]);
    expect(faults(documents(service('x'), text))[0]).toBe(
      expected.replace(/^\d+/, (line) => `${Number(line) + 5}`),
    );
  });

  it('an endpoint with a wrong field: it is left out, the rest is used', () => {
    const text = `kind: EndpointSlice
metadata: { name: a, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ port: 80 }]
endpoints:
  - addresses: [10.0.0.1]
  - addresses: 5
`;
    expect(keys(text)).toEqual(['EndpointSlice default/a']);
    expect(faults(text)).toEqual([
      '7:16 EndpointSlice default/a: endpoints[1].addresses: 5 is not a list with an address; endpoint left out',
    ]);
  });

  it('aliases that expand without end, and nesting without end', () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i}, `.repeat(9)}*l${i}]`,
    );
    expect(faults(`l0: &l0 [x]\n${levels.join('\n')}\n`)[0]).toMatch(
      /^1:1 its aliases .* expand to far too much/,
    );
    expect(faults('a: &a { b: *a }\n')[0]).toMatch(/aliases refer to themselves|alias/);
    expect(faults('['.repeat(200_000))[0]).toMatch(/nested too deeply|^1:/);
  });
});
