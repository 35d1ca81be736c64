// The agent dies and comes back, again and again, and no connection notices.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWorld, drift, end, expectNoFailure, servedBy, sleep, underLoad, type World } from './world.js';

describe.each([
  ['both hooks', { socket: true }],
  ['only tc, by clsact as before Linux 6.6', { socket: false, tcAttach: 'clsact' }],
] as const)('%s', (_, hooks) => {
  const { socket } = hooks;
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ hooks });
  });
  afterAll(() => world?.close());

  test('kill -9 and SIGTERM in a loop: nothing fails, the next one takes over', async () => {
    let agent = await world.start();
    const gaps: number[] = [];
    const tallies = await underLoad(world, async () => {
      for (const signal of [
        'SIGKILL',
        'SIGKILL',
        'SIGTERM',
        'SIGKILL',
        'SIGKILL',
        'SIGTERM',
        'SIGKILL',
      ] as const) {
        const diedAt = performance.now();
        await end(agent, signal);
        if (signal === 'SIGTERM') expect((await agent.exited).code).toBe(0);
        agent = await world.start();
        gaps.push(Math.round(performance.now() - diedAt));
        expect(agent.lines.join('\n')).toContain('took over what an earlier run left');
      }
    });
    console.info(
      `kill to serving: ${gaps.join(', ')} ms; max connect ${tallies.pod.latencyUs.max / 1e3} ms pod, ${tallies.outside.latencyUs.max / 1e3} ms outside`,
    );
    expectNoFailure(tallies);
    expect(tallies.podUdpConnected!.reconnected).toBe(0);
    const { socket: bySocket, tc } = await servedBy(world);
    expect(bySocket).toBeGreaterThanOrEqual(socket ? tallies.pod.ok : 0);
    expect(tc).toBeGreaterThanOrEqual(tallies.outside.ok + (socket ? 0 : tallies.pod.ok));
    if (!socket) expect(bySocket).toBe(0);
    expect(await drift(world)).toEqual([]);
    await end(agent, 'SIGTERM');
  });

  test('killed while it starts, at any moment of it', async () => {
    const tallies = await underLoad(world, async () => {
      for (let ms = 60; ms < 1100; ms += 170) {
        const agent = await world.lab.agent('node-a', {
          folder: world.manifests.folder,
          config: world.config,
        });
        await sleep(ms);
        await end(agent);
      }
    });
    expectNoFailure(tallies);
    const agent = await world.start();
    expect(await drift(world)).toEqual([]);
    await end(agent, 'SIGTERM');
  });
});
