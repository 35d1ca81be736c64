// Affinity, health checks, and Services of unusual size.

import { describe, expect, test } from 'vitest';
import { compile } from '../../../src/compile/compile.js';
import type { Service } from '../../../src/model/service.js';
import { makeContext, makeEndpoint, makePort, makeService, makeSlice } from '../../helpers/model.js';

const plan = (service: Partial<Service>) => compile(makeService(service), [], makeContext());

describe('the rest', () => {
  test('session affinity belongs to each port', () => {
    expect(plan({ affinitySeconds: 10_800 }).ports[0]!.affinitySeconds).toBe(10_800);
    expect(plan({}).ports[0]!.affinitySeconds).toBe(0);
  });

  test('a health check counts distinct local ready addresses over all ports', () => {
    const service = makeService({
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 32_000,
      ports: [makePort({ nodePort: 30_080 }), makePort({ name: 'b', port: 81 })],
    });
    const local = { nodeName: 'node-1' };
    const ports = [
      { name: 'http', protocol: 'TCP', port: 8080 },
      { name: 'b', protocol: 'TCP', port: 8081 },
    ] as const;
    const slice = makeSlice(
      [
        makeEndpoint('10.0.1.1', local),
        makeEndpoint('10.0.1.2', { ...local, ready: false, terminating: true }),
        makeEndpoint('10.0.1.3'),
      ],
      { ports },
    );
    expect(compile(service, [slice], makeContext()).healthCheck).toEqual({
      port: 32_000,
      localEndpoints: { IPv4: 1 },
    });
    const cluster = { ...service, externalTrafficPolicy: 'Cluster' } as const;
    expect(compile(cluster, [slice], makeContext()).healthCheck).toBeUndefined();
    expect(compile({ ...service, type: 'NodePort' }, [slice], makeContext()).healthCheck).toBeUndefined();
  });

  test('a hundred thousand endpoints in one Service', () => {
    const many = Array.from({ length: 100_000 }, (_, i) =>
      makeEndpoint(`10.${100 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`),
    );
    const started = performance.now();
    const [port] = compile(makeService(), [makeSlice(many)], makeContext()).ports;
    // 150 ms on a quiet machine; the limit here is for the shape: nothing quadratic.
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(port!.cluster).toHaveLength(100_000);
    expect(port!.serving).toBe(port!.cluster);
  });

  test('fifty invalid addresses are listed, the rest counted', () => {
    const { issues } = plan({ externalIPs: Array.from({ length: 80 }, (_, i) => `bad-${i}`) });
    expect(issues).toHaveLength(51);
    expect(issues.at(-1)!.message).toBe('30 more of this Service are not listed');
  });
});
