// Setting the stage: the shop stood up in a lab, and the agent on node-a.

import { join } from 'node:path';
import pc from 'picocolors';
import type { Running } from '../exec.js';
import { createLab, type Lab } from '../lab.js';
import { copyExample, EXAMPLE, NEW_PODS } from './shop.js';
import type { Voice } from './voice.js';

/** Stands the shop up in a lab; the folder that is served is a copy of the example. */
export async function openShop(voice: Voice): Promise<{ lab: Lab; shop: string }> {
  const started = performance.now();
  const lab = await voice.progress(
    'network namespaces, addresses, routes, firewall rules',
    createLab({
      folder: EXAMPLE,
      pods: NEW_PODS,
      forwardDrop: 'pods',
      invalidDrop: true,
      masquerade: true,
      outsideReachesClusterIps: true,
    }),
  );
  await lab.serveAll();
  const shop = join(lab.folder, 'shop');
  copyExample(shop);
  const took = Math.round(performance.now() - started);
  voice.say(`  ${pc.green('✓')} 2 nodes, ${lab.pods.size} pods and an outside client in ${took} ms`);
  voice.aside(
    '    with rp_filter=1, FORWARD policy DROP, a rule that drops `ct state invalid`, a CNI masquerade rule',
  );
  return { lab, shop };
}

/** Starts the agent on node-a and waits until a Service answers. */
export async function startAgent(lab: Lab, shop: string): Promise<Running> {
  const agent = await lab.agent('node-a', { folder: shop });
  const died = agent.exited.then((end) => {
    throw new Error(`the agent ended with ${end.signal ?? end.code}:\n${agent.lines.slice(-20).join('\n')}`);
  });
  await Promise.race([died, answered(lab)]);
  // Later it may well be killed.
  died.catch(() => {});
  return agent;
}

async function answered(lab: Lab): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (Date.now() < deadline) {
    const [answer] = await lab.ask('client', 'tcp', '10.96.0.10', 80, { timeout: 100 });
    if (answer?.name !== undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('Service shop/web did not answer within 15 s');
}

/** The agent's log lines, short: time, words. */
export function shortLog(lines: readonly string[], count: number): string {
  return lines
    .slice(0, count)
    .map((line) => {
      try {
        const {
          time,
          msg,
          level: _level,
          pid: _pid,
          hostname: _hostname,
          name: _name,
          ...rest
        } = JSON.parse(line) as Record<string, unknown>;
        const more = Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
        return `    ${new Date(time as string | number).toISOString().slice(14, 23)} ${String(msg)} ${more.join(' ')}`.slice(
          0,
          130,
        );
      } catch {
        return `    ${line}`;
      }
    })
    .join('\n');
}

/** Log lines that are warnings or worse. */
export function complaintsOf(lines: readonly string[]): string[] {
  return lines.filter((line) => !/^\{"level":(10|20|30),/.test(line));
}
