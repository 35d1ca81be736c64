// A lab that stands: runs things in its places. lab.ts documents every member.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NODES, type NodeName } from './addresses.js';
import {
  type AgentContext,
  type AgentOptions,
  agentCommand,
  cliCommand,
  commandEnvironment,
} from './agent.js';
import { type ExecOptions, exec, must, type Outcome, type Running, start } from './exec.js';
import type { Lab, Placement, ServeOptions, Traffic } from './lab.js';
import { cgroupOf } from './namespaces.js';
import { destroy, type LabRecord } from './registry.js';
import type { LabPod } from './topology.js';
import {
  type Answer,
  type AskOptions,
  type BigResult,
  flags,
  type HoldOptions,
  type LoadOptions,
  type Protocol,
  parseAnswers,
  parseLast,
  type Tally,
} from './traffic.js';

const PEER = fileURLToPath(new URL('../build/peer', import.meta.url));

/** Joins a cgroup, then becomes the command: its first argument is the cgroup, the rest the command. */
const JOIN_CGROUP = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"';

export class LiveLab implements Lab {
  readonly id: string;
  readonly folder: string;
  readonly bpffs: string;
  readonly pinFolder: string;
  readonly nodes: typeof NODES = NODES;
  readonly pods: ReadonlyMap<string, LabPod>;
  readonly client: LabPod;
  readonly #record: LabRecord;
  readonly #context: AgentContext;
  readonly #removeAtExit: () => void;

  /** @param folder the manifests that the agent serves unless told otherwise */
  constructor(
    record: LabRecord,
    pods: readonly LabPod[],
    folder: string | undefined,
    removeAtExit: () => void,
  ) {
    this.id = record.id;
    this.folder = record.folder;
    this.bpffs = record.bpffs;
    this.pinFolder = join(record.bpffs, 'portolan');
    this.pods = new Map(pods.map((pod) => [pod.name, pod]));
    this.client = this.pods.get('client')!;
    this.#record = record;
    this.#context = { record, folder, cgroup: (where) => this.cgroup(where) };
    this.#removeAtExit = removeAtExit;
  }

  netns(where: string): string {
    return `/run/netns/${this.#record.prefix}${where}`;
  }

  cgroup(where: string): string {
    return cgroupOf(this.#record, [...this.pods.values()], where);
  }

  enter(where: string, placement: Placement = {}): string[] {
    const cgroup = this.cgroup(placement.cgroup === 'unserved' ? 'unserved' : where);
    return ['sh', '-c', JOIN_CGROUP, 'sh', cgroup, 'nsenter', `--net=${this.netns(where)}`, '--'];
  }

  run(where: string, argv: readonly string[], options: ExecOptions & Placement = {}): Promise<Outcome> {
    return exec([...this.enter(where, options), ...argv], options);
  }

  must(where: string, argv: readonly string[], options: ExecOptions & Placement = {}): Promise<string> {
    return must([...this.enter(where, options), ...argv], options);
  }

  spawn(
    where: string,
    argv: readonly string[],
    options: Placement & { env?: NodeJS.ProcessEnv } = {},
  ): Promise<Running> {
    return start([...this.enter(where, options), ...argv], options.env);
  }

  async serve(where: string, options: ServeOptions = {}): Promise<Running> {
    const pod = this.pods.get(where);
    const tcp = (options.tcp ?? pod?.tcp ?? []).join(',') || undefined;
    const udp = (options.udp ?? pod?.udp ?? []).join(',') || undefined;
    const name = options.name ?? where;
    const running = await this.spawn(where, [PEER, 'serve', ...flags({ name, tcp, udp })]);
    await running.waitFor(/^ready$/);
    return running;
  }

  async serveAll(): Promise<void> {
    const withPorts = [...this.pods.values()].filter((pod) => pod.tcp.length + pod.udp.length > 0);
    await Promise.all(withPorts.map((pod) => this.serve(pod.name)));
  }

  async ask(
    where: string,
    protocol: Protocol,
    address: string,
    port: number,
    options: AskOptions & Placement = {},
  ): Promise<Answer[]> {
    const argv = peer('ask', protocol, address, port, { ...options, json: true });
    const outcome = await this.run(where, argv, { ...options, timeoutMs: 120_000 });
    // 1 says that an answer failed: its line says how.
    if (outcome.code !== 0 && outcome.code !== 1) throw new Error(`${argv.join(' ')}: ${outcome.stderr}`);
    return parseAnswers(outcome.stdout);
  }

  load(
    where: string,
    protocol: Protocol,
    address: string,
    port: number,
    options: LoadOptions & Placement,
  ): Promise<Traffic> {
    return this.#traffic(where, peer('load', protocol, address, port, options), options);
  }

  hold(
    where: string,
    protocol: Protocol,
    address: string,
    port: number,
    options: HoldOptions & Placement,
  ): Promise<Traffic> {
    return this.#traffic(where, peer('hold', protocol, address, port, options), options);
  }

  async big(
    where: string,
    protocol: Protocol,
    address: string,
    port: number,
    bytes: number,
    options: AskOptions & Placement = {},
  ): Promise<BigResult> {
    const argv = peer('big', protocol, address, port, { ...options, bytes, json: true });
    const outcome = await this.run(where, argv, { ...options, timeoutMs: 60_000 });
    return parseLast<BigResult>(outcome.stdout, outcome.stderr);
  }

  agent(where: NodeName, options: AgentOptions = {}): Promise<Running> {
    const { argv, env } = agentCommand(this.#context, where, options);
    return this.spawn(where, argv, { env });
  }

  portolan(args: readonly string[]): Promise<Outcome> {
    const argv = cliCommand(this.#context, 'node-a', args);
    return this.run('node-a', argv, { timeoutMs: 60_000, env: commandEnvironment() });
  }

  async close(): Promise<void> {
    process.removeListener('exit', this.#removeAtExit);
    const left = destroy(this.#record);
    if (left.length > 0) throw new Error(`the lab left behind: ${left.join(', ')}`);
  }

  async #traffic(where: string, argv: readonly string[], placement: Placement): Promise<Traffic> {
    const running = await this.spawn(where, argv, placement);
    const tally = running.exited.then((end) => parseLast<Tally>(end.stdout, end.stderr));
    // Who never looks at the tally must not die of it.
    tally.catch(() => {});
    return { ...running, tally };
  }
}

function peer(mode: string, protocol: Protocol, address: string, port: number, options: object): string[] {
  // Where it runs is no flag of its.
  const own = Object.fromEntries(Object.entries(options).filter(([name]) => name !== 'cgroup'));
  return [PEER, mode, protocol, address, String(port), ...flags(own)];
}
