// The Kubernetes source, end to end: an API server outside, objects made by HTTP, an agent with a kubeconfig, real traffic.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { OUTSIDE } from '../../lab/addresses.js';
import type { Running } from '../../lab/exec.js';
import { CLUSTER, createTown, startAgent, stopAgent, type Town, target, WEB } from './town.js';
import { ask, errors, outcomes } from './traffic.js';

interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string };
  readonly [field: string]: unknown;
}

let town: Town;
let api: Running;
let access: { readonly url: string; readonly ca: string };
let agent: Running;
let kubeconfig: string;

/** Where a kind's objects are created. */
const COLLECTIONS: Readonly<Record<string, string>> = {
  Node: '/api/v1/nodes',
  Service: '/api/v1/namespaces/town/services',
  EndpointSlice: '/apis/discovery.k8s.io/v1/namespaces/town/endpointslices',
  ServiceCIDR: '/apis/networking.k8s.io/v1/servicecidrs',
};

const REQUESTS = `const requests = JSON.parse(process.argv[1]);
for (const [method, url, body] of requests) {
  const headers = { authorization: 'Bearer test-token', 'content-type': 'application/json' };
  const answer = await fetch(url, { method, headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(method + ' ' + url + ': ' + answer.status + ' ' + (await answer.text()));
}`;

/** Sends requests to the API server, from the machine that it runs on. */
async function send(method: 'POST' | 'PUT' | 'DELETE', objects: readonly KubeObject[]): Promise<void> {
  const requests = objects.map((object) => {
    const collection = access.url + COLLECTIONS[object.kind]!;
    return [method, method === 'POST' ? collection : `${collection}/${object.metadata.name}`, object];
  });
  const argv = [process.execPath, '--input-type=module', '-e', REQUESTS, JSON.stringify(requests)];
  await town.lab.must('outside', argv, { env: { ...process.env, NODE_EXTRA_CA_CERTS: access.ca } });
}

const manifests = (file: string): KubeObject[] =>
  parseAllDocuments(readFileSync(join(CLUSTER, file), 'utf8')).map((doc) => doc.toJS() as KubeObject);

/** What the EndpointSlice controller would make of Service web and these pods. */
function slices(pods: readonly string[]): KubeObject[] {
  return (['v4', 'v6'] as const).map((family) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `web-${family}`,
      namespace: 'town',
      labels: { 'kubernetes.io/service-name': 'web' },
    },
    addressType: family === 'v4' ? 'IPv4' : 'IPv6',
    ports: [
      { name: 'tcp', port: 8080, protocol: 'TCP' },
      { name: 'udp', port: 8080, protocol: 'UDP' },
    ],
    endpoints: pods.map((name) => ({
      addresses: [town.lab.pods.get(name)![family]],
      nodeName: town.lab.pods.get(name)!.node,
      conditions: { ready: true },
    })),
  }));
}

async function answerers(): Promise<string[]> {
  const asked = await ask(town, { from: 'client', service: 'web', way: 'cluster-ip', count: 8 });
  expect(errors(asked)).toEqual([]);
  return outcomes(asked);
}

beforeAll(async () => {
  town = await createTown('routed');
  kubeconfig = join(town.lab.folder, 'kubeconfig');
  const script = fileURLToPath(new URL('api-server.ts', import.meta.url));
  const argv = [process.execPath, '--import', 'tsx', script, OUTSIDE.v4, kubeconfig];
  api = await town.lab.spawn('outside', argv);
  access = JSON.parse(await api.waitFor(/^\{/)) as typeof access;
  const cidrs = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name: 'kubernetes' },
    spec: { cidrs: ['10.96.0.0/16', 'fd00:10:96::/112'] },
  };
  const services = manifests('services.yaml').filter(({ metadata }) =>
    ['web', 'empty'].includes(metadata.name),
  );
  await send('POST', [cidrs, ...manifests('nodes.yaml'), ...services, ...slices(WEB)]);
  agent = await startAgent(town, { folder: false, args: ['--kubeconfig', kubeconfig] });
});
afterAll(async () => {
  await stopAgent(agent);
  await town?.lab.close();
});

test('Services of the API server are served, from inside and from outside', async () => {
  expect(await answerers()).toEqual(WEB);
  const asked = await ask(town, { from: 'outside', service: 'web', way: 'node-port', count: 8 });
  expect(errors(asked)).toEqual([]);
  expect(outcomes(asked)).toEqual(WEB);
  const refused = await ask(town, { from: 'client', service: 'empty', way: 'cluster-ip', count: 1 });
  expect(outcomes(refused)).toEqual(['ECONNREFUSED']);
});

test('its service ranges are guarded', async () => {
  const lost = await ask(town, {
    from: 'client',
    service: 'nobody',
    way: 'cluster-ip',
    count: 1,
    options: { timeout: 150 },
  });
  expect(outcomes(lost)).toEqual(['ETIMEDOUT']);
});

test('the plan and the kernel tell the same', async () => {
  // The file that the agent runs with; the dump names its source itself.
  const options = ['--config', join(town.lab.folder, 'node-a.yaml'), '--kubeconfig', kubeconfig];
  const dump = async (from: string): Promise<string> => {
    const { code, stdout, stderr } = await town.lab.portolan(['dump', '--from', from, ...options]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    return stdout;
  };
  const plan = await dump('plan');
  expect(plan).toContain('frontend 10.96.0.10:80/TCP town/web:tcp cluster-ip');
  expect(await dump('kernel')).toBe(plan);
});

test('while the API server is away, what is served stays served; when it is back, changes count again', async () => {
  const { address, port } = target('web', 'load-balancer', 'v4');
  const held = await town.lab.hold('outside', 'tcp', address, port, {
    connections: 10,
    interval: 50,
    seconds: 60,
  });
  api.kill('SIGUSR2');
  await api.waitFor(/^gone$/);
  await vi.waitFor(() => expect(agent.lines.join('\n')).toMatch(/ECONNREFUSED|ECONNRESET|reset|refused/i), {
    timeout: 5000,
  });
  expect(await answerers()).toEqual(WEB);
  // A restart of the agent without an API server changes nothing either.
  agent.kill('SIGKILL');
  await agent.exited;
  agent = await town.lab.agent('node-a', { folder: false, args: ['--kubeconfig', kubeconfig] });
  await agent.waitFor(/took over what an earlier run left/, 10_000);
  expect(await answerers()).toEqual(WEB);
  api.kill('SIGUSR2');
  await api.waitFor(/^back$/);
  await send('PUT', slices(['web-a2']));
  await vi.waitFor(async () => expect(await answerers()).toEqual(['web-a2']), {
    timeout: 20_000,
    interval: 100,
  });
  await agent.waitFor(/"msg":"serving"/);
  held.kill('SIGTERM');
  expect(await held.tally).toMatchObject({ alive: 10, failed: 0, moved: 0 });
});

test('a Service that is deleted is refused no longer, it is nobody’s', async () => {
  await send(
    'DELETE',
    manifests('services.yaml').filter(({ metadata }) => metadata.name === 'empty'),
  );
  const gone = async (): Promise<string[]> =>
    outcomes(
      await ask(town, {
        from: 'client',
        service: 'empty',
        way: 'cluster-ip',
        family: 'v4',
        count: 1,
        options: { timeout: 150 },
      }),
    );
  await vi.waitFor(async () => expect(await gone()).toEqual(['ETIMEDOUT']), {
    timeout: 3000,
    interval: 50,
  });
});

test('an edited folder agrees with the kernel, too', async () => {
  await stopAgent(agent);
  const folder = join(town.lab.folder, 'objects');
  await town.lab.must('switch', ['cp', '-r', CLUSTER, folder]);
  agent = await startAgent(town, { folder });
  writeFileSync(
    join(folder, 'more.yaml'),
    'apiVersion: v1\nkind: Service\nmetadata: { name: more, namespace: town }\nspec: { type: NodePort, selector: { app: own }, ports: [{ port: 80, targetPort: 8080 }] }\n',
  );
  const options = ['--config', join(town.lab.folder, 'node-a.yaml'), '--folder', folder];
  const dump = async (from: string): Promise<string> =>
    (await town.lab.portolan(['dump', '--from', from, ...options])).stdout;
  await vi.waitFor(async () => expect(await dump('kernel')).toContain('town/more'), {
    timeout: 5000,
    interval: 100,
  });
  // Allocated values agree, too: both read the state file.
  expect(await dump('kernel')).toBe(await dump('plan'));
});
