// Holds one row of the table against real sockets and the kernel's counters.

import { expect } from 'vitest';
import { type Counts, reasonChange, serviceChange } from './counters.js';
import type { Fate, Row } from './table.js';
import { nodeAddress, ownAddress, type Town } from './town.js';
import { type Asked, ask, errors, outcomes } from './traffic.js';

export interface Check {
  readonly town: Town;
  readonly counters: () => Promise<Counts>;
  readonly socketHook: boolean;
}

/** Six kinds of questions, 48 in all: one of three endpoints is missed once in 10^8 rows. */
const QUESTIONS = 8;
const DROP_TIMEOUT_MS = 200;
/** Entries of flows that are over wait to expire: a port used again soon after is served by one, and not counted anew. */
const REUSED_PORTS = 2;
/** Another flow has this client port at the endpoint: both are served. */
const HARMLESS = 'flow-collision';

/** @returns the row in words, for the name of its test */
export function rowTitle({ from, to: [service, way], family, bindAddress }: Row): string {
  const by = [family === undefined ? '' : ` over IP${family}`, bindAddress ? ` from ${bindAddress}` : ''];
  return `${from} to ${way} of ${service}${by.join('')}`;
}

export async function checkRow(check: Check, row: Row): Promise<void> {
  const hook = check.socketHook && row.socket !== undefined ? 'socket' : 'tc';
  const fate = row[hook]!;
  const { from, family, bindAddress } = row;
  const [service, way] = row.to;
  const answered = 'answer' in fate;
  const options = {
    ...(bindAddress === undefined ? {} : { bindAddress }),
    ...(answered ? {} : { timeout: DROP_TIMEOUT_MS }),
  };
  const before = await check.counters();
  const asked = await ask(check.town, {
    from,
    service,
    way,
    family,
    count: answered ? QUESTIONS : 1,
    options,
  });
  const after = await check.counters();
  checkAnswers(check.town, from, fate, asked);
  checkCounters(fate, hook, asked.length, serviceChange(before, after, service), reasonChange(before, after));
}

function checkAnswers(town: Town, from: string, fate: Fate, asked: readonly Asked[]): void {
  if (!('answer' in fate)) {
    for (const answer of asked) expect(possibleErrors(fate, answer)).toContain(answer.error);
    return;
  }
  expect(errors(asked), 'failures').toEqual([]);
  expect(outcomes(asked), 'who answered').toEqual(fate.answer);
  expect(
    asked.filter((answer) => answer.otherPeer),
    'getpeername() tells the address that was asked',
  ).toEqual([]);
  for (const { name, client, family, protocol } of asked) {
    const onNodeA = town.lab.pods.get(name!)!.node === 'node-a';
    const itself = fate.seenAs === 'itself' || (fate.seenAs === 'itself-on-node-a' && onNodeA);
    const expected = itself ? ownAddress(town, from, name!, family) : nodeAddress(town, name!, family);
    expect(client, `what ${name} saw over ${protocol}`).toBe(expected);
  }
}

function possibleErrors(fate: Exclude<Fate, { answer: readonly string[] }>, asked: Asked): string[] {
  const { family, protocol } = asked;
  if ('unserved' in fate)
    return fate.unserved === 'refused' ? ['ECONNREFUSED'] : ['ETIMEDOUT', 'ENETUNREACH'];
  // What is dropped on its way out, the kernel tells UDP sockets that want to know.
  if ('dropped' in fate)
    return fate.dropped === 'drop-service-leak' ? ['ETIMEDOUT', 'ENOBUFS'] : ['ETIMEDOUT'];
  // Through a veth the refusal comes while connect() still holds the socket, and Linux then keeps it for later over IPv6
  // (tcp_v6_err; the same with ip6tables' REJECT): the second SYN, a second later, hears of it. See services.test.ts.
  const late = 'refused' in fate && protocol === 'tcp' && family === 'v6';
  return late ? ['ECONNREFUSED', 'ETIMEDOUT'] : ['ECONNREFUSED'];
}

type Change = ReturnType<typeof serviceChange>;

function checkCounters(
  fate: Fate,
  hook: 'socket' | 'tc',
  asked: number,
  service: Change,
  reasons: Readonly<Record<string, number>>,
): void {
  const other = hook === 'socket' ? 'tc' : 'socket';
  const served = 'answer' in fate || 'refusedBy' in fate ? asked : 0;
  expect(service[other], `served by ${other}`).toBe(0);
  expect(service[hook], `served by ${hook}`).toBeLessThanOrEqual(served);
  expect(service[hook], `served by ${hook}`).toBeGreaterThanOrEqual(served - REUSED_PORTS);
  const reason = 'refused' in fate ? fate.refused : 'dropped' in fate ? fate.dropped : undefined;
  const counted = Object.keys(reasons).filter((name) => name !== HARMLESS);
  expect(counted, 'reasons counted').toEqual(reason === undefined ? [] : [reason]);
  // A lost SYN is sent again.
  if (reason !== undefined) expect(reasons[reason]).toBeGreaterThanOrEqual(asked);
}
