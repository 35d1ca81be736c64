// Ways to an API server and to prove who we are: each connects for real, or is refused with a reason.

import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { kubeconfigConnection } from '../../src/sources/kubernetes/kubeconfig.js';
import { KINDS } from '../helpers/apiserver/kinds.js';
import { makeKubeconfig } from '../helpers/apiserver/kubeconfig.js';
import { base64, startTestApiServer, type TestApiServer } from '../helpers/apiserver/server.js';
import { type Running, type RunOptions, runSource, temporaryFolder, until } from './collector.js';
import { node, service } from './objects.js';

let server: TestApiServer;
let client: { cert: string; key: string };
let folder: ReturnType<typeof temporaryFolder>;
let running: Running[];

beforeAll(async () => {
  server = await startTestApiServer();
  client = server.certificates.client('portolan-node');
  server.put(service('web'));
  server.put(node('node-1'));
});

afterAll(() => server.close());

beforeEach(() => {
  folder = temporaryFolder();
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((one) => one.stop()));
  server.access.tokens.clear();
  server.access.tokens.set('test-token', 'system:kube-proxy');
  folder.remove();
});

function run(options: RunOptions): Running {
  const one = runSource(options);
  running.push(one);
  return one;
}

async function connects(options: RunOptions): Promise<Running> {
  const one = run(options);
  await until('synced', () => one.sink.syncs === 1);
  expect([...one.sink.services.keys()]).toEqual(['shop/web']);
  return one;
}

function kubeconfig(user: Record<string, unknown>, cluster: Record<string, unknown> = {}): string {
  const text = makeKubeconfig({ server: server.url, ca: server.certificates.ca, user, cluster });
  return folder.write('kubeconfig', text);
}

describe('kubeconfig', () => {
  it('with a token', () => connects({ kubeconfig: kubeconfig({ token: 'test-token' }) }));

  it('with a client certificate in the file, and in files beside it', async () => {
    server.access.tokens.clear();
    await connects({
      kubeconfig: kubeconfig({
        'client-certificate-data': base64(client.cert),
        'client-key-data': base64(client.key),
      }),
    });
    folder.write('me.crt', client.cert);
    folder.write('me.key', client.key);
    await connects({ kubeconfig: kubeconfig({ 'client-certificate': 'me.crt', 'client-key': 'me.key' }) });
  });

  it('with insecure-skip-tls-verify', async () => {
    const insecure = { 'certificate-authority-data': '', 'insecure-skip-tls-verify': true };
    await connects({ kubeconfig: kubeconfig({ token: 'test-token' }, insecure) });
  });

  it('with tls-server-name: the certificate must be for that name', async () => {
    await connects({
      kubeconfig: kubeconfig({ token: 'test-token' }, { 'tls-server-name': 'kubernetes.default.svc' }),
    });
    const one = run({
      kubeconfig: kubeconfig({ token: 'test-token' }, { 'tls-server-name': 'other.example' }),
    });
    await until('said', () => one.sink.problems.length > 0);
    expect(one.sink.problems[0]).toContain('other.example');
    expect(one.sink.problems[0]).toContain('tls-server-name');
  });

  it('whose authority did not sign the server: refused, with what to check', async () => {
    const one = run({
      kubeconfig: kubeconfig({ token: 'test-token' }, { 'certificate-authority-data': '' }),
    });
    await until('said', () => one.sink.problems.length > 0);
    expect(one.sink.problems[0]).toContain('check certificate-authority');
    expect(one.sink.calls).toEqual([]);
  });

  it('with several contexts: the current one, or the one that is named', async () => {
    const text = `
apiVersion: v1
kind: Config
current-context: wrong
clusters:
- {name: here, cluster: {server: "${server.url}/", certificate-authority-data: ${base64(server.certificates.ca)}}}
- {name: nowhere, cluster: {server: "https://127.0.0.1:1"}}
users:
- {name: me, user: {token: test-token}}
contexts:
- {name: wrong, context: {cluster: nowhere, user: me}}
- {name: right, context: {cluster: here, user: me, namespace: shop}}
`;
    const file = folder.write('kubeconfig', text);
    await connects({ kubeconfig: file, context: 'right' });
    expect(kubeconfigConnection({ file }).servers).toEqual(['https://127.0.0.1:1']);
    expect(() => kubeconfigConnection({ file, context: 'none' })).toThrow(
      `${file}: context "none" is not there; there is "wrong", "right"`,
    );
  });

  it('addresses given beside it replace the one in it', async () => {
    const file = kubeconfig({ token: 'test-token' }, { server: 'https://10.96.0.1:443' });
    const one = await connects({ kubeconfig: file, apiServers: [server.url] });
    expect(one.source.description).toBe(server.url);
  });

  const refused: readonly (readonly [string, Record<string, unknown>, Record<string, unknown>, RegExp])[] = [
    ['proxy-url', {}, { 'proxy-url': 'http://proxy:3128' }, /proxy-url is not supported/],
    ['impersonation', { as: 'root' }, {}, /as \(impersonation\) is not supported/],
    ['a password', { username: 'u', password: 'p' }, {}, /username and password/],
    [
      'a certificate without its key',
      { 'client-certificate': 'a.crt' },
      {},
      /client-certificate without its counterpart/,
    ],
    ['inline data that is no PEM', { 'client-key-data': 'YQ==' }, {}, /client-key-data is not PEM in base64/],
    ['a server that is no URL', {}, { server: 'ten' }, /"ten" is not a URL/],
    ['a server of another scheme', {}, { server: 'ftp://x' }, /begins neither with https/],
    ['no server', {}, { server: '' }, /server is missing/],
    ['an authority that is not used', {}, { 'insecure-skip-tls-verify': true }, /exclude each other/],
    ['a token of the wrong type', { token: 5 }, {}, /users\.0\.user\.token/],
  ];
  it.each(refused)('%s is refused', async (_what, user, cluster, message) => {
    const one = run({ kubeconfig: kubeconfig(user, cluster) });
    await expect(one.done).rejects.toThrow(message);
    expect(one.sink.calls).toEqual([]);
  });

  it('that is missing, or no YAML, or empty is refused with its name', async () => {
    const missing = join(folder.path, 'none');
    expect(() => kubeconfigConnection({ file: missing })).toThrow(`cannot read the kubeconfig ${missing}`);
    expect(() => kubeconfigConnection({ file: folder.write('bad', 'a: [') })).toThrow(
      'cannot read the kubeconfig',
    );
    expect(() => kubeconfigConnection({ file: folder.write('empty', '{}') })).toThrow(
      'has no current-context',
    );
  });
});

describe('exec plugin', () => {
  const plugin = (command: string) => ({
    exec: { apiVersion: 'client.authentication.k8s.io/v1', command, interactiveMode: 'Never' },
  });
  const script = (status: string) =>
    `#!/bin/sh\necho run >> "$(dirname "$0")/runs"\nprintf '%s' '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":${status}}'\n`;

  it('gives a token, and another one when that is refused', async () => {
    const command = folder.write(
      'plugin',
      script(`{"token":"'"$(cat "$(dirname "$0")/token")"'","expirationTimestamp":"2099-01-01T00:00:00Z"}`),
    );
    folder.write('token', 'test-token');
    const one = await connects({ kubeconfig: kubeconfig(plugin(command)) });
    server.access.tokens.clear();
    server.access.tokens.set('second', 'user');
    folder.write('token', 'second');
    server.faults.breakWatches('end');
    server.put(service('later', '10.96.0.99'));
    await until('changed', () => one.sink.services.has('shop/later'));
    server.storage.delete(KINDS.find((kind) => kind.plural === 'services')!, 'shop', 'later');
    expect(one.sink.problems).toEqual([]);
  });

  it('gives a client certificate', async () => {
    server.access.tokens.clear();
    folder.write('pair', JSON.stringify({ clientCertificateData: client.cert, clientKeyData: client.key }));
    const command = folder.write('plugin', script(`'"$(cat "$(dirname "$0")/pair")"'`));
    await connects({ kubeconfig: kubeconfig(plugin(command)) });
  });

  it('that fails is named, and run again', async () => {
    const command = folder.write('plugin', '#!/bin/sh\necho no ticket >&2\nexit 3\n');
    const one = run({ kubeconfig: kubeconfig(plugin(command)) });
    await until('said', () => one.sink.problems.length > 0);
    expect(one.sink.problems[0]).toMatch(/the credential plugin of context "test" in .* failed: no ticket/);
    folder.write('plugin', script('{"token":"test-token"}'));
    await until('synced', () => one.sink.syncs === 1);
  });
});

describe('in a cluster', () => {
  function serviceAccount(): string {
    folder.write('token', 'test-token');
    folder.write('ca.crt', server.certificates.ca);
    return folder.path;
  }
  const environment = (port: string) => ({
    KUBERNETES_SERVICE_HOST: '127.0.0.1',
    KUBERNETES_SERVICE_PORT: port,
  });

  it('with real addresses, tried in turn', async () => {
    const one = await connects({
      serviceAccountFolder: serviceAccount(),
      apiServers: ['https://127.0.0.1:1', server.url],
      environment: {},
    });
    expect(one.sink.problems.filter((problem) => problem.includes('Service address'))).toEqual([]);
  });

  it('with the Service address alone: refused with advice where it does not answer', async () => {
    const one = run({ serviceAccountFolder: serviceAccount(), environment: environment('1') });
    await expect(one.done).rejects.toThrow(
      /cannot reach the API server at https:\/\/127.0.0.1:1 .*apiServers/,
    );
    expect(one.sink.problems).toEqual([]);
  });

  it('with the Service address alone: warned where it answers', async () => {
    const { port } = new URL(server.url);
    const one = await connects({ serviceAccountFolder: serviceAccount(), environment: environment(port) });
    expect(one.sink.problems).toEqual([expect.stringMatching(/works now, but .* after a reboot/)]);
  });

  it('without a service account, or without an address, is refused', async () => {
    const nowhere = run({ serviceAccountFolder: folder.path, environment: environment('1') });
    await expect(nowhere.done).rejects.toThrow(/there is no kubeconfig, and no service account at/);
    const unset = run({ serviceAccountFolder: serviceAccount(), environment: {} });
    await expect(unset.done).rejects.toThrow(/KUBERNETES_SERVICE_HOST is not set/);
  });
});
