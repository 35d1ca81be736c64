// An agent that programs one world after the other until it is killed. Started by killed.test.ts.

import { BpfEngine } from '../../src/dataplane/bpf/driver.js';
import { openMaps } from '../../src/dataplane/bpf/maps.js';
import { openNative } from '../../src/native/binding.js';
import { changesOf, clusterIP, endpoint, service } from './plans.js';

const native = openNative();
const engine = new BpfEngine({
  native,
  maps: openMaps(native, process.argv[2]!),
  graceMs: 0,
  now: () => performance.now(),
  monotonicNs: () => process.hrtime.bigint(),
});
await engine.adopt();
let told = false;
for (let round = Number(process.argv[3]); ; round++) {
  const plans = Array.from({ length: 20 }, (_, i) => {
    const list = Array.from({ length: 1 + ((round + i) % 8) }, (_, j) =>
      endpoint(`10.244.${round % 200}.${j + 1}`),
    );
    return service(`s${i}`, [clusterIP(`10.96.0.${i + 1}`)], list, { affinitySeconds: i % 2 ? 60 : 0 });
  });
  await engine.commit(changesOf(plans));
  await engine.collect();
  if (!told) process.stdout.write('ready\n');
  told = true;
}
