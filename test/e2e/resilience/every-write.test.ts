// An update is cut off after each of its writes, on a node under load: every connection is answered by an endpoint of the
// old list or the new one, and the agent continues from whatever was left.

import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createWorld,
  drift,
  end,
  expectNoFailure,
  Manifests,
  NODE_PORT,
  serviceManifest,
  underLoad,
  WEB,
  WEB_PODS,
  type World,
} from './world.js';

const SCRIPT = new URL('dies-after.ts', import.meta.url).pathname;

let world: World;
let old: Manifests;
let next: Manifests;

beforeAll(async () => {
  world = await createWorld();
  const [one, two, three] = WEB_PODS;
  old = new Manifests(join(world.lab.folder, 'old'));
  next = new Manifests(join(world.lab.folder, 'next'));
  // Few ports, so that n stays small.
  const ports = [{ name: 'http', port: 80, targetPort: 8080, nodePort: NODE_PORT }];
  const web = serviceManifest({ name: 'web', v4: WEB.v4, more: { type: 'NodePort' }, ports });
  for (const folder of [old, next]) folder.write('web.yaml', web);
  old.webPods([one!, two!]);
  next.webPods([two!, three!]);
  old.write('more.yaml', serviceManifest({ name: 'leaves', v4: '10.96.0.20' }));
  next.write('more.yaml', serviceManifest({ name: 'comes', v4: '10.96.0.21' }));
});
afterAll(() => world?.close());

test('dies after the n-th write, for every n', async () => {
  copyFolder(old, world.manifests);
  await end(await world.start());
  let deaths = 0;
  const tallies = await underLoad(
    world,
    async () => {
      for (;;) {
        const outcome = await world.lab.run(
          'node-a',
          [
            process.execPath,
            '--import',
            'tsx',
            SCRIPT,
            join(world.lab.folder, 'node-a.yaml'),
            old.folder,
            next.folder,
            String(deaths + 1),
          ],
          { env: process.env },
        );
        if (outcome.signal !== 'SIGKILL') {
          expect(outcome).toMatchObject({ code: 0, stdout: `survived ${deaths} writes\n` });
          break;
        }
        deaths++;
        if (deaths % 8 === 0) await continues();
      }
    },
    { held: ['podTcp4', 'outsideTcp'] },
  );
  console.info(`cut off after each of ${deaths} writes`);
  expect(deaths).toBeGreaterThan(20);
  expectNoFailure(tallies);
  for (const tally of Object.values(tallies)) expect(Object.keys(tally.answerers)).not.toContain('web-4');
}, 120_000);

/** The real agent, on the new folder. */
async function continues(): Promise<void> {
  copyFolder(next, world.manifests);
  const agent = await world.start();
  expect(await drift(world)).toEqual([]);
  await end(agent);
}

function copyFolder(from: Manifests, to: Manifests): void {
  for (const file of ['web.yaml', 'pods.yaml', 'more.yaml'])
    copyFileSync(join(from.folder, file), join(to.folder, file));
}
