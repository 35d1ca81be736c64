// How much the verifier has to walk: what kernels limit to a million instructions, and what load time is made of.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { SettingFlags } from '../../src/abi/layout.gen.js';
import { Dataplane, type Program, STRICT } from './dataplane.js';

const FILE = fileURLToPath(new URL('verifier.csv', import.meta.url));
const PROGRAMS: readonly Program[] = ['pl_ingress_eth', 'pl_ingress_ip', 'pl_egress_eth', 'pl_egress_ip'];
const GROWTH = 1.1;
const UPDATE = 'PORTOLAN_UPDATE_VERIFIER=1 npx vitest run test/packet/verifier.test.ts';

function readCounts(): Map<string, number> {
  const [, ...lines] = readFileSync(FILE, 'utf8').trim().split('\n');
  return new Map(lines.map((line) => [line.split(',')[0]!, Number(line.split(',')[1])]));
}

test('verified instructions have not grown by more than a tenth', async () => {
  const plane = await Dataplane.load({ flags: STRICT | SettingFlags.POD_BY_DEVICE });
  const counts = new Map(PROGRAMS.map((program) => [program as string, plane.verifiedInstructions(program)]));
  plane.close();
  if (process.env.PORTOLAN_UPDATE_VERIFIER) {
    const lines = [...counts].map(([program, count]) => `${program},${count}\n`);
    writeFileSync(FILE, `program,verified_insns\n${lines.join('')}`);
  }
  const known = readCounts();
  for (const [program, count] of counts) {
    expect(known.has(program), `${program} is not in verifier.csv; to add it: ${UPDATE}`).toBe(true);
    const limit = known.get(program)! * GROWTH;
    const advice = `${program}: ${count} instructions, ${known.get(program)} before. Look for the path that multiplied; if it must be so: ${UPDATE}`;
    expect(count, advice).toBeLessThanOrEqual(limit);
  }
});
