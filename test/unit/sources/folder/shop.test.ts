import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { load } from './harness.js';

const SHOP = fileURLToPath(new URL('../../../../examples/shop', import.meta.url));

it('the example shop is what its README says', async () => {
  const folder = { path: SHOP, stateFile: '', write: () => undefined };
  const sink = await load(folder, { stateFile: undefined });
  expect(sink.problems).toEqual([]);
  const lines = [...sink.services.values()].map(
    ({ name, type, clusterIPs, ports, loadBalancerIngress, externalIPs }) =>
      [
        name,
        type,
        clusterIPs.filter((ip) => !ip.match(/^10\.96\.(?!0\.)|::....$/)).join(' '),
        ports.map(({ nodePort }) => nodePort === 30080).includes(true) ? 'node port 30080' : '',
        ...loadBalancerIngress.map(({ ip }) => ip),
        ...externalIPs,
        `(${sink.endpoints(`shop/${name}`).length} endpoints)`,
      ]
        .filter(Boolean)
        .join(' '),
  );
  expect(lines.sort()).toEqual([
    'cart ClusterIP 10.96.0.40 fd00:10:96::40 (4 endpoints)',
    'checkout NodePort 10.96.0.20 fd00:10:96::20 node port 30080 (4 endpoints)',
    'dns ClusterIP 10.96.0.53 fd00:10:96::53 (8 endpoints)',
    'docs ExternalName (0 endpoints)',
    'empty ClusterIP 10.96.0.90 (0 endpoints)',
    'front LoadBalancer 203.0.113.10 2001:db8:203::10 (4 endpoints)',
    'front-local LoadBalancer 203.0.113.11 (2 endpoints)',
    'legacy ClusterIP 10.96.0.70 198.51.100.20 (1 endpoints)',
    'metrics ClusterIP 10.96.0.60 (2 endpoints)',
    'partners LoadBalancer 203.0.113.12 (2 endpoints)',
    'search ClusterIP (0 endpoints)',
    'web ClusterIP 10.96.0.10 fd00:10:96::10 (6 endpoints)',
  ]);
  expect(sink.node_).toMatchObject({
    name: 'node-a',
    zone: 'a',
    podCIDRs: ['10.244.0.0/24', 'fd00:10:244:0::/64'],
  });
  expect(sink.endpoints('shop/web')).toEqual([
    '10.244.0.11 8080',
    '10.244.0.12 8080',
    '10.244.1.11 8080',
    'fd00:10:244:0::11 8080',
    'fd00:10:244:0::12 8080',
    'fd00:10:244:1::11 8080',
  ]);
});
