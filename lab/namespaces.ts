// Makes what the topology's plans say: cgroups, bpffs, network namespaces, devices, addresses, rules.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { must } from './exec.js';
import type { LabRecord } from './registry.js';
import type { LabPod, NamespacePlan } from './topology.js';

/** The cgroup of a place: a pod's is inside its node's. */
export function cgroupOf(record: LabRecord, pods: readonly LabPod[], where: string): string {
  const pod = pods.find((candidate) => candidate.name === where);
  return pod === undefined ? join(record.cgroup, where) : join(record.cgroup, pod.node, where);
}

/** @throws Error when a part cannot be made, with the words of the program that failed */
export async function standUp(
  record: LabRecord,
  pods: readonly LabPod[],
  plans: readonly NamespacePlan[],
): Promise<void> {
  makeCgroups(record, pods);
  mkdirSync(record.bpffs);
  await must(['mount', '-t', 'bpf', 'bpf', record.bpffs]);
  await makeNamespaces(record, plans);
}

function makeCgroups(record: LabRecord, pods: readonly LabPod[]): void {
  for (const where of ['switch', 'outside', 'node-a', 'node-b', 'unserved', ...pods.map((pod) => pod.name)])
    mkdirSync(cgroupOf(record, pods, where), { recursive: true });
}

async function makeNamespaces(record: LabRecord, plans: readonly NamespacePlan[]): Promise<void> {
  const batch = (lines: readonly string[], argv: readonly string[] = []): Promise<string> =>
    must(['ip', ...argv, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  const inside = (plan: NamespacePlan, argv: readonly string[]): Promise<string> =>
    must(['nsenter', `--net=/run/netns/${record.prefix}${plan.name}`, '--', ...argv]);
  await batch(plans.map((plan) => `netns add ${record.prefix}${plan.name}`));
  await Promise.all(plans.map((plan) => inside(plan, ['sysctl', '-qw', ...plan.sysctls])));
  // One after the other: a batch may put the other end of a device into a namespace whose batch comes later.
  for (const plan of plans)
    if (plan.devices.length > 0) await batch(plan.devices, ['-netns', record.prefix + plan.name]);
  await Promise.all(
    plans.map(async (plan) => {
      await batch(plan.configure, ['-netns', record.prefix + plan.name]);
      if (plan.deviceSysctls.length > 0) await inside(plan, ['sysctl', '-qw', ...plan.deviceSysctls]);
      if (plan.rules.length > 0) await inside(plan, ['sh', '-ec', plan.rules.join('\n')]);
    }),
  );
}
