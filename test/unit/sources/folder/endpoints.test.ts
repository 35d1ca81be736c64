import { describe, expect, it } from 'vitest';
import { deriveSlices, indexPods, type NodeFacts } from '../../../../src/sources/folder/endpoints.js';
import { loadManifests } from '../../../../src/sources/folder/load.js';
import type { PodObject, ServiceObject } from '../../../../src/sources/folder/objects.js';
import { pod } from './harness.js';

const NODES = new Map<string, NodeFacts>([
  ['node-a', { zone: 'a', addresses: ['192.0.2.10', '2001:db8:1::10'] }],
]);

function derive(spec: string, pods: string) {
  const text = `kind: Service\nmetadata: { name: web, namespace: shop }\nspec: { selector: { app: web }, ${spec} }\n---\n${pods}`;
  const { objects, faults } = loadManifests(text);
  expect(faults).toEqual([]);
  const [service, ...others] = objects.map(({ object }) => object) as [ServiceObject, ...PodObject[]];
  return deriveSlices(service, ['IPv4', 'IPv6'], indexPods(others).select(service.selector), NODES);
}

const PORT = 'ports: [{ name: http, port: 80, targetPort: 8080 }]';

/** The only endpoint of one Pod with this status, in IPv4. */
function endpoint(status: string, more = '') {
  const [slice] = derive(`${PORT}${more}`, pod('web-1', 'web', '10.0.0.1', status)).slices;
  return slice?.endpoints[0];
}

describe('deriveSlices()', () => {
  it('makes a slice for each family of the addresses of the Pods', () => {
    const pods = `${pod('web-2', 'web', '10.0.0.2')}---\n${pod('web-1', 'web', 'fd00::1 10.0.0.1')}---\n${pod('x', 'other', '10.0.0.9')}`;
    const { slices } = derive(PORT, pods);
    expect(slices).toMatchObject([
      { service: 'shop/web', family: 'IPv4', ports: [{ name: 'http', protocol: 'TCP', port: 8080 }] },
      { service: 'shop/web', family: 'IPv6' },
    ]);
    expect(
      slices.map((slice) => slice.endpoints.map(({ address, pod: name }) => `${name} ${address}`)),
    ).toEqual([['web-1 10.0.0.1', 'web-2 10.0.0.2'], ['web-1 fd00::1']]);
    expect(slices[0]!.endpoints[0]).toMatchObject({ nodeName: 'node-a', zoneHints: [], nodeHints: [] });
  });

  it.each([
    ['no conditions', '', [true, true, false]],
    ['Ready', 'conditions: [{ type: Ready, status: "True" }]', [true, true, false]],
    ['not Ready', 'conditions: [{ type: Ready, status: "False" }]', [false, false, false]],
    [
      'conditions without Ready',
      'conditions: [{ type: PodScheduled, status: "True" }]',
      [false, false, false],
    ],
  ])('readiness: %s', (_, status, [ready, serving, terminating]) => {
    expect(endpoint(status as string)).toMatchObject({ ready, serving, terminating });
  });

  it('publishNotReadyAddresses makes them ready, not serving', () => {
    const status = 'conditions: [{ type: Ready, status: "False" }]';
    expect(endpoint(status, ', publishNotReadyAddresses: true')).toMatchObject({
      ready: true,
      serving: false,
    });
  });

  it('leaves out Pods that have finished or have no address', () => {
    expect(endpoint('phase: Succeeded')).toBeUndefined();
    expect(endpoint('phase: Failed')).toBeUndefined();
    expect(
      derive(PORT, 'kind: Pod\nmetadata: { name: a, namespace: shop, labels: { app: web } }\n').slices,
    ).toEqual([]);
  });

  it.each([
    ['"True"', { ready: false, serving: true, terminating: true }],
    ['"False"', { ready: false, serving: false, terminating: true }],
  ])('a deleted Pod with Ready %s is terminating', (ready, expected) => {
    const text = pod('web-1', 'web', '10.0.0.1', `conditions: [{ type: Ready, status: ${ready} }]`);
    const deleted = text.replace(
      'namespace: shop,',
      'namespace: shop, deletionTimestamp: "2024-01-01T00:00:00Z",',
    );
    expect(derive(PORT, deleted).slices[0]!.endpoints[0]).toMatchObject(expected);
  });

  it('resolves named ports in each Pod: different numbers, several slices; a Pod without the name is named', () => {
    const withPort = (name: string, ip: string, port: string) =>
      pod(name, 'web', ip).replace(
        'nodeName: node-a',
        `nodeName: node-a, containers: [{ name: c, ports: [${port}] }]`,
      );
    const pods = [
      withPort('a', '10.0.0.1', '{ name: http, containerPort: 8080 }'),
      withPort('b', '10.0.0.2', '{ name: http, containerPort: 9090 }'),
      withPort('c', '10.0.0.3', '{ name: http, containerPort: 8080, protocol: UDP }'),
      withPort('d', '10.0.0.4', '{ name: http, containerPort: 8080 }'),
    ].join('---\n');
    const { slices, problems } = derive('ports: [{ port: 80, targetPort: http }]', pods);
    expect(
      slices.map(({ ports, endpoints }) => [ports[0]!.port, endpoints.map(({ pod: name }) => name)]),
    ).toEqual([
      [8080, ['a', 'd']],
      [9090, ['b']],
    ]);
    expect(new Set(slices.map(({ name }) => name)).size).toBe(2);
    expect(problems).toEqual(['Pod c has no TCP port named "http" and is left out of it']);
  });

  it('finds ports of sidecars, and takes the port itself where there is no targetPort', () => {
    const sidecar = pod('a', 'web', '10.0.0.1').replace(
      'nodeName: node-a',
      'initContainers: [{ name: s, restartPolicy: Always, ports: [{ name: http, containerPort: 15001 }] }]',
    );
    expect(derive('ports: [{ port: 80, targetPort: http }]', sidecar).slices[0]!.ports[0]!.port).toBe(15001);
    expect(derive('ports: [{ port: 80 }]', sidecar).slices[0]!.ports[0]!.port).toBe(80);
  });

  it('gives Pods in the network of their node the addresses of the node', () => {
    const text = `kind: Pod
metadata: { name: a, namespace: shop, labels: { app: web } }
spec: { hostNetwork: true, nodeName: node-a }
`;
    const { slices } = derive(PORT, text);
    expect(slices.map((slice) => slice.endpoints[0]!.address)).toEqual(['192.0.2.10', '2001:db8:1::10']);
  });

  it('gives hints as spec.trafficDistribution says', () => {
    const hints = (value: string) => endpoint('', `, trafficDistribution: ${value}`);
    expect(hints('PreferClose')).toMatchObject({ zoneHints: ['a'], nodeHints: [] });
    expect(hints('PreferSameZone')).toMatchObject({ zoneHints: ['a'], nodeHints: [] });
    expect(hints('PreferSameNode')).toMatchObject({ zoneHints: ['a'], nodeHints: ['node-a'] });
  });
});
