import { describe, expect, test } from 'vitest';
import { Claims } from '../../../src/compile/claims.js';
import { compile } from '../../../src/compile/compile.js';
import { compileReport, compileReportData } from '../../../src/observe/compile-report.js';
import { formatTable } from '../../../src/observe/table.js';
import { makeContext, makeEndpoint, makePort, makeService, makeSlice } from '../../helpers/model.js';

const context = makeContext({ zone: 'a' });

describe('formatTable()', () => {
  test('aligns, without trailing spaces', () => {
    const columns = [{ title: 'NAME' }, { title: 'COUNT', align: 'right' }, { title: 'NOTE' }] as const;
    expect(
      formatTable(
        columns,
        [
          ['shop/web', '3', 'new'],
          ['a', '12000'],
        ],
        { indent: '> ' },
      ),
    ).toEqual(['> NAME      COUNT  NOTE', '> shop/web      3  new', '> a         12000']);
  });
});

describe('compileReport()', () => {
  const web = compile(
    makeService({
      type: 'NodePort',
      ports: [makePort({ nodePort: 30_080 })],
      externalTrafficPolicy: 'Local',
      affinitySeconds: 60,
    }),
    [
      makeSlice([
        makeEndpoint('10.244.0.1', { pod: 'web-a', nodeName: 'node-1' }),
        makeEndpoint('10.244.0.2', { pod: 'web-b' }),
        makeEndpoint('10.244.0.3', { ready: false, serving: false }),
      ]),
    ],
    context,
  );

  test('shows frontends, both lists, and why an endpoint is not used', () => {
    expect(compileReport([web])).toEqual([
      'shop/web',
      '  http TCP IPv4 (client affinity 60 s)',
      '    FRONTEND         KIND        ENDPOINTS                     MASQUERADED                SOCKET HOOK',
      '    10.96.0.10:80    cluster-ip  cluster                       all but pods of this node  yes',
      '    192.0.2.1:30080  node-port   local; cluster for this node  nobody                     yes',
      '    cluster list: 2',
      '      10.244.0.1:8080  ready on-node  web-a  node-1',
      '      10.244.0.2:8080  ready          web-b  node-2',
      '    local list: 1',
      '      10.244.0.1:8080  ready on-node  web-a  node-1',
      '    not used',
      '      10.244.0.3:8080  not in cluster list:  not ready',
      '      10.244.0.2:8080  not in local list:    runs on another node',
      '      10.244.0.3:8080  not in local list:    runs on another node',
    ]);
  });

  test('says what happens where nobody answers', () => {
    const far = [makeSlice([makeEndpoint('10.244.0.2')])];
    const local = makeService({ internalTrafficPolicy: 'Local' });
    expect(compileReport([compile(local, far, context)])).toContain(
      '    local list: empty; new connections are dropped',
    );
    expect(compileReport([compile(local, [], context)])).toContain(
      '    local list: empty; new connections are rejected',
    );
  });

  test('names issues, headless Services and health checks; Services by name', () => {
    const claims = new Claims();
    const lb = makeService({
      name: 'a',
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 32_000,
      createdAt: 2_000,
    });
    for (const service of [lb, makeService(), makeService({ name: 'h', clusterIP: 'None' })]) {
      claims.update(`shop/${service.name}`, compile(service, [], context));
    }
    const lines = compileReport(claims.plans());
    expect(lines.filter((line) => line.startsWith('shop/'))).toEqual(['shop/a', 'shop/h', 'shop/web']);
    expect(lines).toContain('  health check on node port 32000: local endpoints 0 IPv4');
    expect(lines).toContain('    no frontend');
    expect(lines).toContain(
      '  nothing to serve: no cluster IP (headless or ExternalName), or no usable port',
    );
    expect(lines).toContain(
      '  ! cluster-ip 10.96.0.10:80/TCP belongs to shop/web, which has it and came first (frontend-clash)',
    );
  });

  test('cuts long lists; the data has everything, with reasons in words', () => {
    const many = Array.from({ length: 30 }, (_, i) => makeEndpoint(`10.244.1.${i}`, { ready: i > 24 }));
    const plan = compile(makeService(), [makeSlice(many)], context);
    expect(compileReport([plan]).at(-1)).toBe('      ... and 5 more (-o json shows all)');
    const data = JSON.parse(JSON.stringify(compileReportData([plan])));
    expect(data[0].ports[0].excluded).toHaveLength(25);
    expect(data[0].ports[0].excluded[0]).toMatchObject({
      list: 'cluster',
      reason: 'not-ready',
      text: 'not ready',
    });
  });
});
