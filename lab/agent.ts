// The agent inside a lab: its configuration file and command line.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { CLUSTER_RANGE, type NodeName } from './addresses.js';
import type { LabRecord } from './registry.js';

const PORTOLAN = fileURLToPath(new URL('../bin/portolan', import.meta.url));

export interface AgentOptions {
  /** The folder to serve; the lab's own by default. `false`: none, for other sources. */
  readonly folder?: string | false;
  /** Over the lab's configuration, member by member at the top. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** More arguments of `portolan run`. */
  readonly args?: readonly string[];
  /** Over this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What of a lab the agent's command line needs. */
export interface AgentContext {
  readonly record: LabRecord;
  readonly folder: string | undefined;
  readonly cgroup: (where: string) => string;
}

/** Where the agent of this node pins: node-a's pins are at `portolan`, so that they look as on a real node. */
function pinFolder(context: AgentContext, where: NodeName): string {
  return join(context.record.bpffs, where === 'node-a' ? 'portolan' : `portolan-${where}`);
}

/** Writes the configuration of the agent on `where`. @returns the file */
function writeConfiguration(
  context: AgentContext,
  where: NodeName,
  more: Readonly<Record<string, unknown>>,
): string {
  const file = join(context.record.folder, `${where}.yaml`);
  const settings = {
    nodeName: where,
    pinFolder: pinFolder(context, where),
    cgroup: context.cgroup(where),
    stateFile: join(context.record.folder, `${where}-state.json`),
    clusterCIDRs: [CLUSTER_RANGE.v4, CLUSTER_RANGE.v6],
    log: { level: 'info', format: 'json' },
    ...more,
  };
  writeFileSync(file, stringify(settings));
  return file;
}

/** `portolan run` for that node. */
export function agentCommand(
  context: AgentContext,
  where: NodeName,
  options: AgentOptions,
): { argv: string[]; env: NodeJS.ProcessEnv } {
  const config = writeConfiguration(context, where, options.config ?? {});
  const folder = options.folder ?? context.folder ?? false;
  const source = folder === false ? [] : ['--folder', folder];
  return {
    argv: [PORTOLAN, 'run', '--config', config, ...source, ...(options.args ?? [])],
    env: commandEnvironment(options.env),
  };
}

/** The agent runs on the Node.js that runs this. */
export function commandEnvironment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { ...process.env, PORTOLAN_NODE: process.execPath, ...more };
}

/** Any other command, told where the node's pins are. */
export function cliCommand(context: AgentContext, where: NodeName, args: readonly string[]): string[] {
  return [PORTOLAN, ...args, '--pin-folder', pinFolder(context, where)];
}
