import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { podsOfFolder } from '../../../lab/manifests.js';
import { type LabPod, podDevice, withClient } from '../../../lab/topology.js';
import { flags } from '../../../lab/traffic.js';

const pod = (name: string): LabPod => ({ name, node: 'node-a', v4: '', v6: '', tcp: [], udp: [] });

test('device names fit into 15 characters and differ also for long, similar pod names', () => {
  const pods = ['web-1', 'payments-7c9f-aaaaa', 'payments-7c9f-bbbbb', 'x'.repeat(63)].map(pod);
  const names = pods.map(podDevice);
  expect(names.every((name) => name.length <= 15)).toBe(true);
  expect(new Set(names).size).toBe(names.length);
});

test('the client is added unless the folder has one', () => {
  expect(withClient([pod('web')]).map((p) => p.name)).toEqual(['web', 'client']);
  expect(withClient([pod('client')]).map((p) => p.name)).toEqual(['client']);
});

test('options become flags', () => {
  expect(flags({ bindPort: 7, connected: true, keep: false, rate: undefined })).toEqual([
    '--bind-port',
    '7',
    '--connected',
  ]);
});

function folderWith(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'plt-lab-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'pods.yaml'), text);
  return folder;
}

const manifest = (name: string, more: string): string => `kind: Pod
metadata: { name: ${name} }
spec:
  nodeName: node-b
  containers: [{ name: c, ports: [{ containerPort: 80 }, { containerPort: 53, protocol: UDP }, { containerPort: 80 }] }]
${more}`;

test('pods come from manifests, with their ports', () => {
  const folder = folderWith(
    `kind: Service\nmetadata: { name: x }\n---\n${manifest('a', 'status: { podIPs: [{ ip: 10.244.1.2 }, { ip: "fd00::2" }] }')}`,
  );
  expect(podsOfFolder(folder)).toEqual([
    { name: 'a', node: 'node-b', v4: '10.244.1.2', v6: 'fd00::2', tcp: [80], udp: [53] },
  ]);
});

test('a pod that cannot be stood up is named', () => {
  expect(() => podsOfFolder(folderWith(manifest('a', 'status: { podIP: 10.244.1.2 }')))).toThrow(
    /pods.yaml: pod a: .*status.podIPs/,
  );
  expect(() => podsOfFolder(folderWith(manifest('a', '').replace('node-b', 'node-z')))).toThrow(/not node-z/);
});
