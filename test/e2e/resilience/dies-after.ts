// An agent that brings the pinned maps wholly to one folder's state, begins to write another's, and dies right after its
// n-th write: argv is the configuration file, the two folders, n. It runs in the node's network namespace, as the agent.

import { networkInterfaces } from 'node:os';
import { loadConfiguration } from '../../../src/agent/config.js';
import { compileOnce } from '../../../src/agent/one-shot.js';
import { createSource } from '../../../src/agent/sources.js';
import type { ServicePlan } from '../../../src/compile/plan.js';
import { BpfEngine } from '../../../src/dataplane/bpf/driver.js';
import { openMaps } from '../../../src/dataplane/bpf/maps.js';
import { kernelDump } from '../../../src/dataplane/bpf/read.js';
import type { Native } from '../../../src/native/api.js';
import { openNative } from '../../../src/native/binding.js';
import { formatDump, planEntries } from '../../../src/observe/dump.js';

const [file = '', oldFolder = '', newFolder = '', dieAfter = ''] = process.argv.slice(2);
const WRITES: readonly (string | symbol)[] = ['mapUpdate', 'mapDelete', 'mapUpdateBatch', 'mapDeleteBatch'];

let armed = false;
let writes = 0;

/** The kernel, with a shot after the n-th write. */
function mortal(native: Native): Native {
  return new Proxy(native, {
    get(target, property) {
      const member = Reflect.get(target, property) as unknown;
      if (typeof member !== 'function') return member;
      const call = (member as (...args: unknown[]) => unknown).bind(target);
      if (!WRITES.includes(property)) return call;
      return (...args: unknown[]) => {
        const result = call(...args);
        if (armed && ++writes === Number(dieAfter)) process.kill(process.pid, 'SIGKILL');
        return result;
      };
    },
  });
}

async function plansOf(folder: string): Promise<readonly ServicePlan[]> {
  const config = loadConfiguration(file, { folder });
  const interfaces = Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? []).map(({ address }) => ({ interface: name, address })),
  );
  return (await compileOnce(createSource(config, { state: 'ignore' }), config, interfaces)).plans;
}

const native = mortal(openNative());
const maps = openMaps(native, loadConfiguration(file, {}).pinFolder);
const monotonicNs = (): bigint => process.hrtime.bigint();
const engine = new BpfEngine({ native, maps, graceMs: 0, now: () => performance.now(), monotonicNs });
const [before, after] = [await plansOf(oldFolder), await plansOf(newFolder)];
await engine.adopt();

async function bring(plans: readonly ServicePlan[], others: readonly ServicePlan[]): Promise<void> {
  const names = new Set(plans.map((plan) => plan.name));
  const gone = others.filter((plan) => !names.has(plan.name)).map(({ name }) => ({ name, plan: undefined }));
  const outcomes = [
    ...(await engine.commit([...plans.map((plan) => ({ name: plan.name, plan })), ...gone])),
    ...(await engine.prune(names)),
  ];
  for (const { name, error } of outcomes) if (error) throw new Error(name, { cause: error });
  await engine.collect();
}

await bring(before, after);
const [has, wanted] = [
  formatDump(await kernelDump(maps)).join('\n'),
  formatDump(before.flatMap(planEntries)).join('\n'),
];
if (has !== wanted)
  throw new Error(`what was left could not be brought to the old state:\n${has}\nnot\n${wanted}`);
armed = true;
await bring(after, before);
process.stdout.write(`survived ${writes} writes\n`);
