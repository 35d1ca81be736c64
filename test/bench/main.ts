// `make bench`: what Portolan costs, measured on this machine against what it may cost.
//   main.ts [--quick] [--json] [--only packet,traffic,control]

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { measureControlPlane } from './control-plane.js';
import { formatSection, type Section, verdict } from './figures.js';
import { measurePackets } from './packet-cost.js';
import { measureTraffic } from './traffic.js';

const HELP = `usage: make bench [QUICK=1] [BENCH='--json --only packet,traffic,control']

Prints medians with their spread, and for each target whether it is met. --quick: fewer rounds, under a minute.
--json: figures for machines on standard output. Other work on the machine disturbs: wall times most, ratios and
nanoseconds a packet least.`;

const PARTS = ['packet', 'traffic', 'control'] as const;
type Part = (typeof PARTS)[number];
type Say = (text: string) => void;

function measure(part: Part, quick: boolean, say: Say): Promise<Section> {
  switch (part) {
    case 'packet':
      return measurePackets({ rounds: quick ? 5 : 11, repeat: quick ? 50_000 : 200_000 }, say);
    case 'traffic':
      return measureTraffic({ rounds: quick ? 3 : 9, connections: quick ? 300 : 1500 }, say);
    case 'control':
      return measureControlPlane(
        { services: 10_000, endpoints: 10, starts: quick ? 1 : 5, changes: quick ? 100 : 500 },
        say,
      );
  }
}

/** @throws Error for a part that there is none of */
function partsFrom(only: string | undefined): readonly Part[] {
  if (only === undefined) return PARTS;
  return only.split(',').map((name) => {
    const part = PARTS.find((known) => known === name);
    if (part === undefined) throw new Error(`--only ${name}: the parts are ${PARTS.join(', ')}`);
    return part;
  });
}

/** Progress on one line of a terminal, else on lines. */
function progress(): Say {
  if (!process.stderr.isTTY) return (text) => process.stderr.write(`${text}\n`);
  return (text) => process.stderr.write(`\r\x1b[2K${text}`);
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
} else {
  const say = progress();
  const sections: Section[] = [];
  const loads = [readFileSync('/proc/loadavg', 'utf8').trim()];
  for (const part of partsFrom(values.only)) {
    const section = await measure(part, values.quick, say);
    if (process.stderr.isTTY) say('');
    if (!values.json) console.log(formatSection(section).join('\n'));
    sections.push(section);
    loads.push(readFileSync('/proc/loadavg', 'utf8').trim());
  }
  const judged = sections.flatMap((section) => section.figures).filter((f) => f.target !== undefined);
  if (values.json) {
    const withVerdicts = sections.map((s) => ({
      ...s,
      figures: s.figures.map((f) => ({ ...f, verdict: verdict(f) })),
    }));
    console.log(JSON.stringify({ loads, sections: withVerdicts }, undefined, 2));
  } else {
    const met = judged.filter((f) => verdict(f) === 'ok').length;
    console.log(`${met} of ${judged.length} targets are met; load average before and after each part:`);
    console.log(`  ${loads.map((load) => load.split(' ')[0]).join('  ')}`);
  }
}
