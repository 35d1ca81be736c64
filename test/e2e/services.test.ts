// The whole agent, real sockets, every kind of client to every kind of Service address (table.ts): on nodes with routed pods
// and on nodes with bridged pods and an overlay, with the socket hook off and on, by tcx and by clsact.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Running } from '../../lab/exec.js';
import { checkRow, rowTitle } from './check-row.js';
import { type CountedPort, type Counts, openCounters, sumByService } from './counters.js';
import { TABLE } from './table.js';
import { createTown, startAgent, stopAgent, type Topology, type Town, target } from './town.js';

interface Run {
  readonly title: string;
  readonly hooks: { readonly socket: boolean; readonly tcAttach: 'tcx' | 'clsact' };
}

const SOCKET_OFF: Run = { title: 'socket hook off, tcx', hooks: { socket: false, tcAttach: 'tcx' } };
const SOCKET_ON: Run = { title: 'socket hook on, tcx', hooks: { socket: true, tcAttach: 'tcx' } };
const CLSACT: Run = { title: 'socket hook off, clsact', hooks: { socket: false, tcAttach: 'clsact' } };

const RUNS: readonly [Topology, readonly Run[]][] = [
  ['routed', [SOCKET_OFF, SOCKET_ON, CLSACT]],
  ['bridged', [SOCKET_OFF, SOCKET_ON]],
];

describe.each(RUNS)('%s pods', (topology, runs) => {
  let town: Town;
  beforeAll(async () => {
    town = await createTown(topology);
  });
  afterAll(() => town?.lab.close());

  // Each run takes over from the one before, as a restart with another configuration does.
  describe.each(runs)('$title', ({ hooks }) => {
    let agent: Running;
    let counters: () => Promise<Counts>;
    beforeAll(async () => {
      agent = await startAgent(town, { config: { hooks } });
      counters = openCounters(town.lab.pinFolder);
    });
    afterAll(() => stopAgent(agent));

    test.each(TABLE.map((row) => [rowTitle(row), row] as const))('%s', async (_title, row) => {
      await checkRow({ town, counters, socketHook: hooks.socket }, row);
    });

    test('refused TCP over IPv6 hears of it with its second SYN at the latest', async () => {
      const { address, port } = target('empty', 'load-balancer', 'v6');
      const [first] = await town.lab.ask('outside', 'tcp', address, port, { timeout: 2000 });
      expect(first).toMatchObject({ error: 'ECONNREFUSED' });
      expect(first!.us).toBeLessThan(1_500_000);
    });

    test('`portolan services` tells what was counted', async () => {
      const { code, stdout } = await town.lab.portolan(['services', '-o', 'json']);
      expect(code).toBe(0);
      const { services } = JSON.parse(stdout) as { services: CountedPort[] };
      const now = await counters();
      expect(sumByService(services)).toEqual(now.services);
      expect(now.services.web!.tc).toBeGreaterThan(0);
    });
  });
});
