// The demo's view of examples/shop: which addresses to ask, and who may answer.

import { cpSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../lab.js';
import type { LabPod } from '../topology.js';
import type { Protocol } from '../traffic.js';

/** Something to ask, with its expected answerers. */
export interface Target {
  readonly kind: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
  /** Name of the Service in namespace shop. */
  readonly service: string;
  readonly protocol: Protocol;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly answerers: readonly string[];
}

export const TARGETS: readonly Target[] = [
  {
    kind: 'ClusterIP',
    service: 'web',
    protocol: 'tcp',
    addresses: ['10.96.0.10', 'fd00:10:96::10'],
    port: 80,
    answerers: ['web-1', 'web-2', 'web-3'],
  },
  {
    kind: 'ClusterIP',
    service: 'dns',
    protocol: 'udp',
    addresses: ['10.96.0.53', 'fd00:10:96::53'],
    port: 53,
    answerers: ['dns-1', 'dns-2'],
  },
  {
    kind: 'NodePort',
    service: 'checkout',
    protocol: 'tcp',
    addresses: ['192.0.2.10', '2001:db8:1::10'],
    port: 30080,
    answerers: ['checkout-1', 'checkout-2'],
  },
  {
    kind: 'LoadBalancer',
    service: 'front',
    protocol: 'tcp',
    addresses: ['203.0.113.10', '2001:db8:203::10'],
    port: 80,
    answerers: ['front-1', 'front-2'],
  },
];

export const EXAMPLE = join(REPOSITORY, 'examples/shop');

/** Pods that the example does not have: the live edit brings them in. */
export const NEW_PODS: readonly LabPod[] = [
  { name: 'web-4', node: 'node-a', v4: '10.244.0.14', v6: 'fd00:10:244:0::14', tcp: [8080], udp: [] },
  { name: 'web-5', node: 'node-b', v4: '10.244.1.15', v6: 'fd00:10:244:1::15', tcp: [8080], udp: [] },
];

/** Copies the example to `folder`, so that it can be edited. */
export function copyExample(folder: string): void {
  cpSync(EXAMPLE, folder, { recursive: true });
}

/** A Pod of Service web, as a manifest. */
const podManifest = (pod: LabPod): string => `---
apiVersion: v1
kind: Pod
metadata:
  name: ${pod.name}
  namespace: shop
  labels: { app: web }
spec:
  nodeName: ${pod.node}
  containers:
    - name: web
      image: example.com/shop/web:2
      ports:
        - { name: http, containerPort: 8080, protocol: TCP }
status:
  podIPs:
    - ip: ${pod.v4}
    - ip: ${pod.v6}
`;

/** web.yaml with only its Service and these pods. */
export function webManifest(pods: readonly LabPod[]): string {
  const [service] = readFileSync(join(EXAMPLE, 'web.yaml'), 'utf8').split(/^---$/m);
  return service!.trimEnd() + pods.map((pod) => `\n${podManifest(pod)}`.trimEnd()).join('');
}

/** Replaces a file as editors do, in one step. @returns when it was done, ms since 1970 */
export function replaceFile(path: string, text: string): number {
  writeFileSync(`${path}.new`, text);
  const now = performance.timeOrigin + performance.now();
  renameSync(`${path}.new`, path);
  return now;
}
