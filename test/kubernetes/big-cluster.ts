// A big cluster's objects, with all the weight that real ones carry and a proxy does not want.

import type { KubeObject } from '../helpers/apiserver/storage.js';

const managedFields = (manager: string, fields: number) => [
  {
    manager,
    operation: 'Update',
    apiVersion: 'v1',
    time: '2026-01-01T00:00:00Z',
    fieldsType: 'FieldsV1',
    fieldsV1: Object.fromEntries(
      Array.from({ length: fields }, (_, i) => [`f:field-${i}`, { 'f:inner': {} }]),
    ),
  },
];

export function bigService(i: number): KubeObject {
  const ip = `10.96.${i >> 8}.${i & 255}`;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: `service-${i}`,
      namespace: `team-${i % 100}`,
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { app: `app-${i}`, 'app.kubernetes.io/managed-by': 'helm' },
      annotations: { 'meta.helm.sh/release-name': `release-${i}` },
      managedFields: managedFields('kubectl-client-side-apply', 10),
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: ip,
      clusterIPs: [ip],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
      sessionAffinity: 'None',
      selector: { app: `app-${i}` },
      ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080 }],
    },
    status: { loadBalancer: {} },
  };
}

export function bigSlice(i: number, endpoints: number): KubeObject {
  const name = `service-${i}`;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-x7k2p`,
      generateName: `${name}-`,
      namespace: `team-${i % 100}`,
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: {
        'kubernetes.io/service-name': name,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
      ownerReferences: [
        { apiVersion: 'v1', kind: 'Service', name, uid: '6d3b0b80-0000-4000-8000-000000000000' },
      ],
      managedFields: managedFields('kube-controller-manager', 12),
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    endpoints: Array.from({ length: endpoints }, (_, n) => {
      const pod = i * endpoints + n;
      return {
        addresses: [`10.${100 + (pod >> 16)}.${(pod >> 8) & 255}.${pod & 255}`],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: `node-${pod % 1000}.europe-west1-b.c.example.internal`,
        zone: `europe-west1-${'abc'[pod % 3]}`,
        hints: { forZones: [{ name: `europe-west1-${'abc'[pod % 3]}` }] },
        targetRef: {
          kind: 'Pod',
          namespace: `team-${i % 100}`,
          name: `${name}-6d4cf56db6-${pod.toString(36)}`,
          uid: '6d3b0b80-0000-4000-8000-000000000001',
        },
      };
    }),
  };
}
