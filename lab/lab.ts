// A small cluster out of network namespaces on this machine: two nodes, pods, a client pod and an outside client. Tests,
// demo, playground and bench stand on it. It touches neither the machine's own interfaces, nor its firewall, nor its
// root cgroup.

import { fileURLToPath } from 'node:url';
import type { NODES, NodeName } from './addresses.js';
import type { AgentOptions } from './agent.js';
import type { ExecOptions, Outcome, Running } from './exec.js';
import { LiveLab } from './live-lab.js';
import { podsOfFolder } from './manifests.js';
import { standUp } from './namespaces.js';
import { destroy, newRecord, sweep } from './registry.js';
import { type LabPod, planLab, type TopologyOptions, withClient } from './topology.js';
import type { Answer, AskOptions, BigResult, HoldOptions, LoadOptions, Protocol, Tally } from './traffic.js';

/** The folder of this repository. */
export const REPOSITORY: string = fileURLToPath(new URL('..', import.meta.url));

export interface LabOptions extends Partial<TopologyOptions> {
  /** A folder of manifests: its pods are stood up. */
  readonly folder?: string;
  /** Pods beside those of the folder. */
  readonly pods?: readonly LabPod[];
}

/** In which cgroup a process runs: its place's own, or one that no agent serves. */
export interface Placement {
  /** `unserved`: beside the nodes' cgroups, so that no socket hook sees it. Default: the place's own. */
  readonly cgroup?: 'own' | 'unserved';
}

/** A place is `node-a`, `node-b`, `outside`, `switch` or a pod's name. */
export interface Lab {
  readonly id: string;
  /** Folder for the lab's files; gone after close(). */
  readonly folder: string;
  /** A bpffs of its own. */
  readonly bpffs: string;
  /** Where the agent of node-a pins: `<bpffs>/portolan`. */
  readonly pinFolder: string;
  readonly nodes: typeof NODES;
  readonly pods: ReadonlyMap<string, LabPod>;
  /** The pod named `client`. */
  readonly client: LabPod;
  /** Path of the place's network namespace. */
  netns(where: string): string;
  /** The place's cgroup v2 folder; a pod's is inside its node's. */
  cgroup(where: string): string;
  /** argv in front of a command so that it runs there. */
  enter(where: string, placement?: Placement): string[];
  run(where: string, argv: readonly string[], options?: ExecOptions & Placement): Promise<Outcome>;
  /** Like run. @throws Error when it fails. */
  must(where: string, argv: readonly string[], options?: ExecOptions & Placement): Promise<string>;
  spawn(
    where: string,
    argv: readonly string[],
    options?: Placement & { env?: NodeJS.ProcessEnv },
  ): Promise<Running>;
  /** `peer serve` there; listening when it resolves. Name and ports default to the pod's. */
  serve(where: string, options?: ServeOptions): Promise<Running>;
  /** `peer serve` in every pod that has ports. */
  serveAll(): Promise<void>;
  ask(
    where: string,
    protocol: Protocol,
    address: string,
    port: number,
    options?: AskOptions & Placement,
  ): Promise<Answer[]>;
  load(
    where: string,
    protocol: Protocol,
    address: string,
    port: number,
    options: LoadOptions & Placement,
  ): Promise<Traffic>;
  hold(
    where: string,
    protocol: Protocol,
    address: string,
    port: number,
    options: HoldOptions & Placement,
  ): Promise<Traffic>;
  big(
    where: string,
    protocol: Protocol,
    address: string,
    port: number,
    bytes: number,
    options?: AskOptions & Placement,
  ): Promise<BigResult>;
  /** Starts `portolan run` on a node with the lab's own pins, cgroup and state. */
  agent(where: NodeName, options?: AgentOptions): Promise<Running>;
  /** Any other `portolan` command on node-a. */
  portolan(args: readonly string[]): Promise<Outcome>;
  /** Ends every process, removes every trace. @throws Error when something stayed. */
  close(): Promise<void>;
}

export interface ServeOptions {
  readonly name?: string;
  readonly tcp?: readonly number[];
  readonly udp?: readonly number[];
}

/** Traffic that runs. */
export interface Traffic extends Running {
  /** Its result, when it has ended by itself or by SIGTERM. */
  readonly tally: Promise<Tally>;
}

const DEFAULTS: TopologyOptions = {
  podNetwork: 'routed',
  underlay: 'routed',
  rpFilter: true,
  forwardDrop: 'off',
  invalidDrop: false,
  masquerade: false,
  bridgeNetfilter: true,
  outsideReachesClusterIps: false,
};

/**
 * Stands a lab up, after taking away those whose owners have died. It is taken away at the latest when this process
 * exits. @throws Error when a part cannot be made; what was made is removed
 */
export async function createLab(options: LabOptions = {}): Promise<Lab> {
  if (process.getuid?.() !== 0)
    throw new Error('the lab needs root: network namespaces, bpffs and cgroups are made');
  sweep();
  const { folder, pods: morePods = [], ...topology } = options;
  const pods = withClient([...(folder === undefined ? [] : podsOfFolder(folder)), ...morePods]);
  const record = newRecord();
  const removeAtExit = (): void => {
    destroy(record);
  };
  process.once('exit', removeAtExit);
  try {
    const plans = planLab(pods, { ...DEFAULTS, ...topology }, (name) => record.prefix + name);
    await standUp(record, pods, plans);
  } catch (error) {
    destroy(record);
    process.removeListener('exit', removeAtExit);
    throw error;
  }
  return new LiveLab(record, pods, folder, removeAtExit);
}
