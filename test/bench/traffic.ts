// What a connection costs, in CPU time of everything that takes part, as a ratio to the same without any Service. Four
// labs stand at once, so that nothing has to be switched between two measurements:
//
//   plain       no rule, no program                 `direct`: what everything is held against
//   conntrack   our netfilter rules alone           `direct, conntrack active`
//   socket      the socket hook alone
//   whole       the agent as it runs: both hooks, netfilter rules
//
// Rounds are interleaved: each measures everything once, in an order of its own.

import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { must } from '../../lab/exec.js';
import { createLab, type Lab, REPOSITORY } from '../../lab/lab.js';
import { FORWARD_JUMP, forwardRules, nftRules } from '../../src/agent/netfilter-rules.js';
import { type CpuMeter, cpuMeter } from './cpu.js';
import { Dialogue } from './dialogue.js';
import { type Figure, figure, type Section } from './figures.js';
import {
  CLIENTS,
  type LabName,
  MODE_NAMES,
  MODES,
  type Mode,
  PORT,
  SERVER,
  WAYS,
  type Way,
  writeManifests,
} from './ways.js';

export interface TrafficOptions {
  readonly rounds: number;
  /** Connections of one measurement; of requests on an open connection it is five times as many. */
  readonly connections: number;
}

const MARK = 0x4000;
const PAIR = join(REPOSITORY, 'build/bench-pair');
const SOURCE = join(REPOSITORY, 'test/bench/pair.c');
const CPU = cpus().length - 1;
/** @param say hears what is being done */
export async function measureTraffic(options: TrafficOptions, say: (text: string) => void): Promise<Section> {
  const bench = new TrafficBench();
  try {
    say('traffic: four labs');
    await bench.standUp();
    const samples = await bench.run(options, say);
    await bench.verify();
    return section(samples, options);
  } finally {
    await bench.close();
  }
}

/** Nanoseconds an operation, by `way/mode`, in the order of the rounds. */
type Samples = ReadonlyMap<string, readonly number[]>;

function section(samples: Samples, { rounds }: TrafficOptions): Section {
  const figures: Figure[] = [];
  for (const mode of MODES)
    for (const way of WAYS) {
      const own = samples.get(`${way.name}/${mode}`)!;
      if (way.base === way.name) {
        figures.push(
          figure(
            `${MODE_NAMES[mode]}: ${way.name}`,
            'µs',
            own.map((ns) => ns / 1000),
          ),
        );
        continue;
      }
      const base = samples.get(`${way.base}/${mode}`)!;
      const ratios = own.map((ns, i) => ns / base[i]!);
      const name = `  ${way.name} / ${way.base.replace('outside: ', '')}`;
      figures.push(figure(name, 'ratio', ratios, mode === 'short' ? way.target : undefined));
    }
  return {
    title: 'CPU an operation, as a ratio',
    how: [
      'CPU of both processes, the agent and softirqs; client and server on one CPU; a pod to a pod of the same node,',
      `the outside client by the node's uplink. ${rounds} interleaved rounds, the ratio is taken within each.`,
    ],
    figures,
  };
}

class TrafficBench {
  readonly #folder = mkdtempSync(join(tmpdir(), 'portolan-bench-'));
  readonly #labs = new Map<LabName, { readonly lab: Lab; readonly meter: CpuMeter }>();
  readonly #clients = new Map<string, Dialogue>();
  readonly #dialogues: Dialogue[] = [];

  async standUp(): Promise<void> {
    await buildPair();
    writeManifests(this.#folder);
    for (const name of ['plain', 'conntrack', 'socket', 'whole'] as const) await this.#standUp(name);
    for (const way of WAYS) await this.#client(way);
  }

  async run({ rounds, connections }: TrafficOptions, say: (text: string) => void): Promise<Samples> {
    const samples = new Map<string, number[]>();
    // The first round warms caches, neighbours and the agent's maps up, and is thrown away.
    for (let round = -1; round < rounds; round++) {
      say(round < 0 ? 'traffic: warming up' : `traffic: round ${round + 1} of ${rounds}`);
      for (const mode of MODES) {
        const count = Math.ceil((mode === 'short' ? connections : connections * 5) / (round < 0 ? 5 : 1));
        for (const way of turned(WAYS, Math.max(0, round))) {
          const ns = await this.#measure(way, mode, count);
          if (round < 0) continue;
          const key = `${way.name}/${mode}`;
          samples.set(key, [...(samples.get(key) ?? []), ns]);
        }
      }
      await this.#forgetFlows();
    }
    return samples;
  }

  /** Has each way been served by the hook that it is named after? @throws Error naming the one that was not. */
  async verify(): Promise<void> {
    for (const name of ['socket', 'whole'] as const) {
      const { lab } = this.#labs.get(name)!;
      const { stdout } = await lab.portolan(['services', '-o', 'json']);
      const { services } = JSON.parse(stdout) as { services: ServedService[] };
      for (const way of WAYS.filter((w) => w.lab === name && w.hook !== undefined)) {
        const own = services.filter((s) =>
          s.frontends.some((f) => f.address === way.address && f.port === way.port),
        );
        const served = own.reduce((sum, { served }) => sum + served[way.hook!], 0);
        if (served === 0) throw new Error(`${way.name}: the ${way.hook} hook has served nothing of it`);
      }
    }
  }

  async close(): Promise<void> {
    for (const dialogue of this.#dialogues) dialogue.end();
    for (const { lab } of this.#labs.values()) await lab.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #standUp(name: LabName): Promise<void> {
    const lab = await createLab({ pods: [SERVER, ...CLIENTS] });
    const meter = cpuMeter(dirname(lab.cgroup('switch')), CPU);
    this.#labs.set(name, { lab, meter });
    await this.#start([...lab.enter('server'), PAIR, 'serve', String(CPU), String(PORT)]);
    if (name === 'conntrack') {
      await lab.must('node-a', ['nft', '-f', '-'], { input: nftRules(MARK) });
      await lab.must('node-a', ['iptables-restore', '--noflush'], { input: forwardRules(MARK) });
      await lab.must('node-a', ['iptables', '-I', ...FORWARD_JUMP]);
    }
    if (name === 'plain' || name === 'conntrack') return;
    const hooks = { socket: true, tc: name === 'whole' };
    const config = { hooks, netfilter: name === 'whole' };
    const agent = await lab.agent('node-a', { folder: this.#folder, config });
    await agent.waitFor(name === 'whole' ? /hook is effective/ : /"serving"/, 30_000);
  }

  async #start(argv: readonly string[]): Promise<Dialogue> {
    const dialogue = new Dialogue(argv);
    this.#dialogues.push(dialogue);
    await dialogue.expect('ready', argv.join(' '));
    return dialogue;
  }

  async #client(way: Way): Promise<void> {
    const { lab } = this.#labs.get(way.lab)!;
    const enter = lab.enter(way.from, way.unserved ? { cgroup: 'unserved' } : {});
    this.#clients.set(way.name, await this.#start([...enter, PAIR, 'client', String(CPU)]));
  }

  /** @returns nanoseconds of CPU an operation */
  async #measure(way: Way, mode: Mode, count: number): Promise<number> {
    const { meter } = this.#labs.get(way.lab)!;
    const before = meter.read();
    const line = `${mode} ${way.address} ${way.port} ${count}`;
    await this.#clients.get(way.name)!.ask(line, 'ok', `${way.name}: ${line}`);
    return (meter.read() - before) / count;
  }

  /** Conntrack's entries live for minutes after a connection: rounds shall not differ by them. */
  async #forgetFlows(): Promise<void> {
    for (const name of ['conntrack', 'whole'] as const)
      await this.#labs.get(name)!.lab.run('node-a', ['conntrack', '-F']);
  }
}

interface ServedService {
  readonly frontends: readonly { readonly address: string; readonly port: number }[];
  readonly served: { readonly socket: number; readonly tc: number };
}

/** Begins elsewhere each round: none always follows the same one. */
function turned<T>(items: readonly T[], by: number): T[] {
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

async function buildPair(): Promise<void> {
  if (existsSync(PAIR) && statSync(PAIR).mtimeMs > statSync(SOURCE).mtimeMs) return;
  mkdirSync(dirname(PAIR), { recursive: true });
  await must(['cc', '-O2', '-Wall', '-D_GNU_SOURCE', '-o', PAIR, SOURCE, '-lpthread']);
}
