// A pod that comes while the lab stands.

import { basename } from 'node:path';
import { must } from '../../../lab/exec.js';
import type { Lab } from '../../../lab/lab.js';
import type { LabPod } from '../../../lab/topology.js';
import { WEB } from './world.js';

/** The guest's network namespace with its veth at node-a, as a CNI makes it. The lab takes it away at its end. */
export async function plug(lab: Lab, guest: LabPod): Promise<void> {
  const [inside, node] = [basename(lab.netns(guest.name)), basename(lab.netns('node-a'))];
  const device = `veth-${guest.name}`;
  await must(['ip', 'netns', 'add', inside]);
  const onNode = [
    `link add ${device} type veth peer name eth0 netns ${inside}`,
    `link set ${device} up`,
    `route add ${guest.v4}/32 dev ${device}`,
  ];
  const inPod = [
    `addr add ${guest.v4}/32 dev eth0`,
    'link set eth0 up',
    'route add 169.254.1.1 dev eth0 scope link',
    'route add default via 169.254.1.1',
  ];
  const sysctls = [`net.ipv4.conf.${device}.proxy_arp=1`, `net.ipv4.neigh.${device}.proxy_delay=0`];
  await must(['ip', '-netns', node, '-batch', '-'], { input: onNode.join('\n') });
  await must(['nsenter', `--net=${lab.netns('node-a')}`, '--', 'sysctl', '-qw', ...sysctls]);
  await must(['ip', '-netns', inside, '-batch', '-'], { input: inPod.join('\n') });
}

export async function unplug(lab: Lab, guest: LabPod): Promise<void> {
  await must(['ip', 'netns', 'del', basename(lab.netns(guest.name))]);
}

/**
 * How long until the guest's packets are served, in ms: no socket hook sees it.
 * @throws Error when ten attempts fail
 */
export async function servedAfter(lab: Lab, guest: LabPod): Promise<number> {
  const since = performance.now();
  for (let attempt = 0; attempt < 10; attempt++) {
    const [answer] = await lab.ask(guest.name, 'tcp', WEB.v4, 80, { cgroup: 'unserved', timeout: 200 });
    if (answer?.name !== undefined) return Math.round(performance.now() - since);
  }
  throw new Error(`${guest.name} was not served within ten attempts`);
}
