import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Follower } from '../../../../src/sources/folder/follower.js';
import { createPools } from '../../../../src/sources/folder/ledger.js';
import { scanDirectory } from '../../../../src/sources/folder/scan.js';
import { createFolder, documents, type Folder, pod, RecordingSink, service } from './harness.js';

const CLUSTER = {
  pools: createPools(['10.96.0.0/24', 'fd00::/120'], { from: 30000, to: 30099 }),
  nodeName: 'node-a',
};

const anyService = fc
  .tuple(
    fc.constantFrom('web', 'api', 'shop', 'dns'),
    fc.constantFrom(
      '',
      'clusterIP: 10.96.0.9',
      'type: NodePort',
      'ipFamilyPolicy: PreferDualStack',
      'clusterIP: None',
    ),
  )
  .map(([name, spec]) => service(name, spec));
const anyPod = fc
  .tuple(
    fc.integer({ min: 1, max: 6 }),
    fc.constantFrom('web', 'api', 'dns'),
    fc.constantFrom('', 'phase: Failed'),
  )
  .map(([n, app, status]) => pod(`p${n}`, app, `10.0.0.${n} fd00:1::${n}`, status));
const anyText = fc
  .array(fc.oneof(anyService, anyPod), { maxLength: 4 })
  .map((list) => documents('# shop\n', ...list));
const broken = fc.constantFrom(
  'kind: [',
  'kind: Service\nmetadata: { name: web, namespace: shop }\nspec: 5\n',
);
const file = fc.constantFrom('a.yaml', 'b.yaml', 'sub/c.yaml');
const anyEvent = fc.oneof(
  { weight: 4, arbitrary: fc.record({ file, text: anyText }) },
  {
    weight: 1,
    arbitrary: fc.record({ file, text: fc.tuple(anyText, broken).map((parts) => documents(...parts)) }),
  },
  { weight: 1, arbitrary: fc.record({ file, text: fc.constant(undefined) }) },
  { weight: 1, arbitrary: fc.constant('restart' as const) },
);

/** A fixed clock: ages come from the state file or not at all. */
function follower(folder: Folder, sink: RecordingSink, stateFile: string): Follower {
  return new Follower(
    { directory: folder.path, stateFile, readOnly: false, now: () => 1, cluster: CLUSTER },
    sink,
  );
}

function state({ services, slices, node_ }: RecordingSink) {
  return { services, slices, node_ };
}

it('after any sequence of edits the sink knows what a fresh start tells', () => {
  fc.assert(
    fc.property(
      fc.array(anyEvent, { maxLength: 12 }),
      fc.tuple(anyText, anyText, anyText),
      (events, last) => {
        const folder = createFolder();
        let sink = new RecordingSink();
        let live = follower(folder, sink, folder.stateFile);
        const round = () => live.round(scanDirectory(folder.path, undefined), []);
        round();
        for (const event of events) {
          if (event === 'restart') {
            const before = state(sink);
            sink = new RecordingSink();
            live = follower(folder, sink, folder.stateFile);
            round();
            // Even with files broken now.
            expect(state(sink)).toEqual(before);
            continue;
          }
          if (event.text === undefined) rmSync(join(folder.path, event.file), { force: true });
          else folder.write(event.file, event.text);
          round();
        }
        // Whatever was broken is repaired at the end.
        ['a.yaml', 'b.yaml', 'sub/c.yaml'].forEach((name, i) => {
          folder.write(name, last[i]!);
        });
        round();
        const copy = `${folder.stateFile}.copy`;
        if (existsSync(folder.stateFile)) copyFileSync(folder.stateFile, copy);
        const fresh = new RecordingSink();
        follower(folder, fresh, copy).round(scanDirectory(folder.path, undefined), []);
        expect(state(sink)).toEqual(state(fresh));
        const calls = sink.calls.length;
        round();
        expect(sink.calls).toHaveLength(calls);
        rmSync(folder.path, { recursive: true });
      },
    ),
    { numRuns: 60 },
  );
});
