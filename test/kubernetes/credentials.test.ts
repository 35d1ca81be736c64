// Tokens and certificates are replaced under a running source.

import { describe, expect, it } from 'vitest';
import { createCertificates } from '../helpers/apiserver/certificates.js';
import { startTestApiServer } from '../helpers/apiserver/server.js';
import { agree, certificates, folder, server, synced, useCluster } from './cluster.js';
import { type RunOptions, until } from './collector.js';
import { node, service } from './objects.js';

useCluster();

describe('a token', () => {
  function withTokenFile(options: RunOptions = {}): RunOptions {
    folder.write('token', 'test-token\n');
    return { kubeconfig: folder.write('kubeconfig', server.kubeconfig({ tokenFile: 'token' })), ...options };
  }

  it('that expires is read again from its file at once', async () => {
    const one = await synced(withTokenFile());
    server.access.tokens.clear();
    server.access.tokens.set('second', 'system:kube-proxy');
    folder.write('token', 'second');
    server.faults.breakWatches('reset');
    await agree(one);
    expect(one.sink.problems).toEqual([]);
  });

  it('that is not renewed is named as the reason, until it is', async () => {
    const one = await synced(withTokenFile());
    server.access.tokens.clear();
    server.faults.breakWatches('end');
    await until('said', () => one.sink.problems.length > 0);
    expect(one.sink.problems[0]).toContain('the credentials are not accepted');
    expect(one.sink.services.size).toBe(5);
    server.access.tokens.set('third', 'system:kube-proxy');
    folder.write('token', 'third');
    await agree(one);
  });

  it('is read again when it is a minute old', async () => {
    let time = Date.now();
    const one = await synced(withTokenFile({ now: () => time }));
    server.access.tokens.set('second', 'other-user');
    folder.write('token', 'second');
    server.access.tokens.delete('test-token');
    time += 61_000;
    const requests = server.requests.length;
    server.faults.breakWatches('end');
    await agree(one);
    // No request was refused first: each resource came back with one.
    expect(server.requests.slice(requests).filter((request) => request.includes('/nodes')).length).toBe(1);
  });

  it('whose file is missing for a moment stays in use', async () => {
    const one = await synced(withTokenFile({ timing: { refreshMs: 0 } }));
    folder.remove();
    server.faults.breakWatches('end');
    await agree(one);
  });
});

describe('the certificate authority', () => {
  it('is read again when its file changes', async () => {
    const other = createCertificates();
    folder.write('ca.crt', certificates.ca);
    const kubeconfig = folder.write(
      'kubeconfig',
      server.kubeconfig().replace(/certificate-authority-data: .*/, 'certificate-authority: ca.crt'),
    );
    const one = await synced({ kubeconfig, timing: { refreshMs: 0 } });
    const { port } = new URL(server.url);
    await server.close();
    const after = await startTestApiServer({ certificates: other, port: Number(port), bookmarkMs: 30 });
    after.put(service('new', '10.96.1.1'));
    after.put(node('node-1'));
    await until('refused', () =>
      one.sink.problems.some((problem) => /self.signed|unable to verify|certificate/i.test(problem)),
    );
    expect(one.sink.services.size).toBe(5);
    folder.write('ca.crt', other.ca);
    await until('back', () => [...one.sink.services.keys()].join() === 'shop/new');
    await one.stop();
    await after.close();
    other.remove();
  });
});
