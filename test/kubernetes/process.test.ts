// The test API server as a process of its own, as end-to-end tests and people with curl use it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import https from 'node:https';
import { createInterface } from 'node:readline';
import { afterEach, expect, it } from 'vitest';
import { runSource, temporaryFolder, until } from './collector.js';

const folder = temporaryFolder();
afterEach(() => folder.remove());

function post(url: string, ca: string, body: unknown): Promise<number> {
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const headers = { authorization: 'Bearer secret', 'content-length': Buffer.byteLength(text) };
    const request = https.request(url, { method: 'POST', ca, headers, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    request.on('error', reject).end(text);
  });
}

it('serves manifests of a folder, takes changes and faults over HTTP, and ends cleanly', async () => {
  const manifests = `
{apiVersion: v1, kind: Node, metadata: {name: node-1}}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: web}, spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}
`;
  folder.write('shop.yaml', manifests);
  const program = new URL('../helpers/apiserver/main.ts', import.meta.url).pathname;
  const args = ['--import', 'tsx', program, '--port', '0', '--dir', folder.path, '--token', 'secret'];
  const server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface(server.stdout), 'line')) as [string];
  const { url, kubeconfig, ca } = JSON.parse(line) as { url: string; kubeconfig: string; ca: string };
  const certificate = readFileSync(ca, 'utf8');
  const running = runSource({ kubeconfig });
  await until('synced', () => running.sink.syncs === 1);
  expect([...running.sink.services.keys()]).toEqual(['default/web']);
  const path = '/api/v1/namespaces/shop/services';
  const service = { metadata: { name: 'api' }, spec: { clusterIP: '10.96.0.2', ports: [{ port: 80 }] } };
  expect(await post(`${url}/test/break`, certificate, { fault: 'reset' })).toBe(200);
  expect(await post(url + path, certificate, service)).toBe(201);
  await until('told', () => running.sink.services.has('shop/api'));
  await running.stop();
  server.kill('SIGTERM');
  expect((await once(server, 'exit'))[0]).toBe(0);
  expect(existsSync(ca)).toBe(false);
});
