// The demo's scenes, in the order in which they are played. Each opens real connections and checks what it shows.

import { join } from 'node:path';
import pc from 'picocolors';
import { PARTNER } from '../addresses.js';
import type { Running } from '../exec.js';
import type { Lab } from '../lab.js';
import type { Answer } from '../traffic.js';
import { difference, oneEntry, servedByHook } from './kernel-view.js';
import { NEW_PODS, replaceFile, TARGETS, type Target, webManifest } from './shop.js';
import { bars, endpoint, isEven, type Voice } from './voice.js';

/** What every scene has at hand. */
export interface Stage {
  readonly lab: Lab;
  readonly voice: Voice;
  /** The folder that the agent serves: a copy of the example. */
  readonly shop: string;
  agent: Running;
}

const CONNECTIONS = 90;
const CLIENTS = [
  ['client', 'client pod'],
  ['outside', 'outside client'],
  ['node-a', 'host process'],
] as const;

export const PICTURE = `
   outside client                        node-b  192.0.2.11
   192.0.2.100 ──┐                       ┌─────────────────────────────┐
   …::100        │      ┌────────────────┤ web-3  checkout-2  front-2 …│
                 ├──────┤ network        └─────────────────────────────┘
                 │      └────────────────┐
   node-a  192.0.2.10  2001:db8:1::10    │   BPF of Portolan on node-a:
   ┌─────────────────────────────────────┴─┐   · socket hook  (node-a's cgroup)
   │ client   web-1  web-2  checkout-1 …   │   · tc on eth0 and on each pod's veth
   └───────────────────────────────────────┘`;

function countNames(answers: readonly Answer[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const answer of answers) {
    const name = answer.name ?? answer.error ?? 'nobody';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/** Every kind of Service, from every kind of client, in both families: who answers, how evenly, by which hook. */
export async function everyKind({ lab, voice }: Stage): Promise<void> {
  voice.chapter('Every kind of Service, from everywhere');
  for (const [where, title] of CLIENTS) {
    voice.say(`\n  ${pc.bold(title)}`);
    const before = await servedByHook(lab);
    const asked = new Map<string, number>();
    for (const target of TARGETS)
      for (const address of target.addresses) {
        await oneKind(lab, voice, where, target, address);
        asked.set(target.service, (asked.get(target.service) ?? 0) + CONNECTIONS);
      }
    checkHooks(voice, where, asked, before, await servedByHook(lab));
  }
}

async function oneKind(
  lab: Lab,
  voice: Voice,
  where: string,
  target: Target,
  address: string,
): Promise<void> {
  const answers = await lab.ask(where, target.protocol, address, target.port, { count: CONNECTIONS });
  const counts = countNames(answers);
  const even = isEven(counts, target.answerers);
  const text = `${target.kind.padEnd(12)} ${target.protocol} ${endpoint(address, target.port).padEnd(26)} ${bars(counts)}`;
  voice.check(
    even,
    text,
    even ? '' : `expected ${CONNECTIONS} answers, evenly from ${target.answerers.join(', ')}`,
  );
}

/** Processes of the node and its pods are served at the socket, packets from outside at tc. */
function checkHooks(
  voice: Voice,
  where: string,
  asked: ReadonlyMap<string, number>,
  before: Awaited<ReturnType<typeof servedByHook>>,
  after: Awaited<ReturnType<typeof servedByHook>>,
): void {
  const total = new Map<string, number>();
  for (const service of asked.keys())
    for (const [hook, count] of difference(before.get(service) ?? {}, after.get(service) ?? {}))
      total.set(hook, (total.get(hook) ?? 0) + count);
  const expected = where === 'outside' ? 'tc' : 'socket';
  const wanted = [...asked.values()].reduce((sum, count) => sum + count, 0);
  // A UDP client that draws the port of a flow that still lives is no new flow.
  const counted = total.get(expected) ?? 0;
  const said = [...total].map(([hook, count]) => `${hook} ${count}`).join(', ') || 'none';
  voice.check(
    counted >= wanted * 0.98 && counted <= wanted && total.size === 1,
    `decided by hook: ${pc.bold(said)}`,
    `expected ${expected} ${wanted}`,
  );
}

/** The Services that do not simply spread connections. */
export async function specialCases({ lab, voice }: Stage): Promise<void> {
  voice.chapter('Refused, restricted, sticky, local');
  for (const where of ['client', 'outside'] as const) {
    const [answer] = await lab.ask(where, 'tcp', '10.96.0.90', 80);
    const fast = answer!.us < 100_000;
    voice.check(
      answer!.error === 'ECONNREFUSED' && fast,
      `no endpoint: ${where} is refused after ${(answer!.us / 1000).toFixed(2)} ms, not left waiting`,
      answer!.error ?? `answered by ${answer!.name}`,
    );
  }
  const [lost] = await lab.ask('outside', 'tcp', '203.0.113.12', 80, { timeout: 300 });
  const [partner] = await lab.ask('outside', 'tcp', '203.0.113.12', 80, { bindAddress: PARTNER.v4 });
  voice.check(lost!.error === 'ETIMEDOUT', 'source ranges: others get no answer', lost!.error ?? lost!.name);
  voice.check(
    partner!.name?.startsWith('front-') === true,
    `source ranges: a partner (${PARTNER.v4}) does`,
    partner!.error,
  );
  for (const where of ['client', 'outside'] as const) {
    const counts = countNames(await lab.ask(where, 'tcp', '10.96.0.40', 80, { count: 30 }));
    voice.check(
      counts.size === 1 && [...counts.keys()][0]!.startsWith('cart-'),
      `affinity: ${where}  ${bars(counts)}`,
    );
  }
  const metrics = countNames(await lab.ask('client', 'tcp', '10.96.0.60', 9100, { count: 30 }));
  voice.check(metrics.size === 1 && metrics.has('metrics-1'), `internal policy Local  ${bars(metrics)}`);
  const local = await lab.ask('outside', 'tcp', '203.0.113.11', 80, { count: 30 });
  const seen = local[0]!.client;
  voice.check(
    local.every((answer) => answer.name === 'front-1' && answer.client === '192.0.2.100'),
    `external policy Local  ${bars(countNames(local))}  and the pod sees ${seen}, the client itself`,
  );
  const legacy = countNames(await lab.ask('outside', 'tcp', '198.51.100.20', 80, { count: 30 }));
  voice.check(
    legacy.size === 1 && legacy.has('legacy-1'),
    `external IP, endpoint written by hand  ${bars(legacy)}`,
  );
}

/** A manifest is edited while connections are opened: how long until only the new pods answer. */
export async function liveEdit(stage: Stage): Promise<void> {
  const { lab, voice } = stage;
  voice.chapter('A manifest is edited: web moves to two new pods, under 1,000 new connections a second');
  const rate = { rate: 500, seconds: 3, timeout: 900 };
  const loads = await Promise.all([
    lab.load('client', 'tcp', '10.96.0.10', 80, rate),
    lab.load('outside', 'tcp', '10.96.0.10', 80, rate),
  ]);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const editedMs = editWeb(
    stage,
    NEW_PODS.map((pod) => pod.name),
  );
  const tallies = await voice.progress(
    'connections are opened',
    Promise.all(loads.map((load) => load.tally)),
  );
  for (const [i, tally] of tallies.entries()) {
    const all = Object.entries(tally.answerers);
    const old = all.filter(([name]) => /^web-[123]$/.test(name)).map(([, answerer]) => answerer.lastMs);
    const fresh = all.filter(([name]) => /^web-[45]$/.test(name)).map(([, answerer]) => answerer.firstMs);
    const took = Math.max(...old) - editedMs;
    voice.check(
      tally.failed === 0 && old.length === 3 && fresh.length === 2 && took < 100,
      `${i === 0 ? 'client pod    ' : 'outside client'}  ${tally.ok} connections, ${tally.failed} failed; the last old pod was chosen ${Math.max(0, took).toFixed(1)} ms after the edit`,
      `errors ${JSON.stringify(tally.errors)}, answerers ${all.map(([name]) => name).join(' ')}`,
    );
  }
}

/** Puts only these pods behind Service web. @returns when, ms since 1970 */
function editWeb({ lab, shop }: Stage, names: readonly string[]): number {
  return replaceFile(join(shop, 'web.yaml'), webManifest(names.map((name) => lab.pods.get(name)!)));
}

/** The agent dies without warning, twice; once a manifest changes while nobody is there. */
export async function sudden(stage: Stage, startAgent: () => Promise<Running>): Promise<void> {
  const { lab, voice } = stage;
  voice.chapter('The agent is killed (SIGKILL) under traffic, twice');
  const seconds = 60;
  const traffic = {
    'new connections, client pod': await lab.load('client', 'tcp', '10.96.0.10', 80, {
      rate: 400,
      seconds,
      timeout: 900,
    }),
    'new connections, outside': await lab.load('outside', 'tcp', '192.0.2.10', 30080, {
      rate: 300,
      seconds,
      timeout: 900,
    }),
    'UDP flows, client pod': await lab.load('client', 'udp', 'fd00:10:96::53', 53, {
      rate: 200,
      seconds,
      timeout: 900,
    }),
    'long connections, client pod': await lab.hold('client', 'tcp', 'fd00:10:96::10', 80, {
      connections: 50,
      interval: 20,
      seconds,
    }),
    'long connections, outside': await lab.hold('outside', 'tcp', '203.0.113.10', 80, {
      connections: 50,
      interval: 20,
      seconds,
    }),
  };
  await pause(800);
  for (const names of [['web-1', 'web-2', 'web-3'], NEW_PODS.map((pod) => pod.name)]) {
    stage.agent.kill('SIGKILL');
    const end = await stage.agent.exited;
    voice.check(end.signal === 'SIGKILL', 'killed: no agent runs; the kernel goes on serving');
    editWeb(stage, names);
    await voice.progress('nobody is there', pause(700));
    const startedMs = Date.now();
    stage.agent = await startAgent();
    const took = await untilAnswered(lab, names[0]!, startedMs);
    voice.check(
      took !== undefined,
      `restarted: it took over what was there, and had written what changed meanwhile ${took ?? 'not even 10,000'} ms after its start`,
    );
  }
  await pause(500);
  for (const running of Object.values(traffic)) running.kill('SIGTERM');
  for (const [title, running] of Object.entries(traffic)) {
    const tally = await running.tally;
    const what =
      tally.mode === 'hold'
        ? `${tally.ok} questions on ${tally.started} connections`
        : `${tally.ok} answered`;
    const kept = tally.mode !== 'hold' || tally.alive === tally.started;
    voice.check(
      tally.failed === 0 && tally.ok > 0 && kept,
      `${title.padEnd(28)} ${what}, ${pc.bold(`${tally.failed} failed`)}`,
      JSON.stringify(tally.errors),
    );
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until this pod answers for Service web. @returns ms since `startedMs`; undefined after ten seconds */
async function untilAnswered(lab: Lab, name: string, startedMs: number): Promise<number | undefined> {
  while (Date.now() - startedMs < 10_000) {
    const answers = await lab.ask('client', 'tcp', '10.96.0.10', 80, { count: 20 });
    if (answers.some((answer) => answer.name === name)) return Date.now() - startedMs;
    await pause(20);
  }
  return undefined;
}

/** What people can look at: the table of Services, and the maps as they are. */
export async function lookInside({ lab, voice }: Stage): Promise<void> {
  voice.chapter('What the kernel serves now');
  voice.aside('  $ portolan services');
  const table = await lab.portolan(['services']);
  voice.say(indent(table.stdout));
  voice.check(table.code === 0 && table.stdout.includes('web'), 'read from the pinned maps', table.stderr);
  voice.aside(`\n  $ bpftool map dump pinned …/portolan/v1/maps/frontends | head`);
  const entry = await oneEntry(lab, 'frontends');
  voice.say(indent(entry));
  voice.check(/"[a-z_]+":/.test(entry), 'each entry by field name');
}

const indent = (text: string): string => text.trimEnd().replace(/^/gm, '  ');
