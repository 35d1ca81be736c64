// Options that several commands share.

import { hostname } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Configuration, type ConfigurationInput, loadConfiguration } from '../agent/config.js';
import { Refusal } from '../agent/refusal.js';
import type { SourceProblem } from '../sources/source.js';

export interface OutputOptions {
  readonly output: 'text' | 'json';
}

/** `-o text|json`. */
export function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text');
}

export interface SourceOptions {
  readonly config?: string;
  readonly folder?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly apiServer?: string[];
  readonly nodeName?: string;
  readonly clusterCidr?: string[];
  readonly stateFile?: string;
  readonly pinFolder?: string;
}

const list = (text: string): string[] => {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.some((part) => part === '')) throw new InvalidArgumentError('an empty element in the list');
  return parts;
};

/** The options that say where Services come from and which node this is. */
export function addSourceOptions(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file (YAML); flags go over it')
    .option('--folder <dir>', 'a folder of manifests that is the cluster')
    .option('--kubeconfig <file>', 'how to reach the API server')
    .option('--context <name>', 'context in the kubeconfig')
    .option('--api-server <urls>', 'API server addresses that work without Services, comma separated', list)
    .option('--node-name <name>', 'this node, as spec.nodeName of its pods has it (default: the host name)')
    .option('--cluster-cidr <cidrs>', 'pod ranges, comma separated: how pods are told from others', list)
    .option('--state-file <file>', 'folder mode: keeps allocated addresses and node ports')
    .option('--pin-folder <dir>', 'where maps and links are pinned');
}

/** Configuration file, flags and defaults together. @throws Refusal when they are wrong or name no source. */
export function configurationFrom(options: SourceOptions): Configuration {
  const flags: ConfigurationInput = {
    folder: options.folder,
    kubeconfig: options.kubeconfig,
    context: options.context,
    apiServers: options.apiServer,
    nodeName: options.nodeName,
    clusterCIDRs: options.clusterCidr,
    stateFile: options.stateFile,
    pinFolder: options.pinFolder,
  };
  const loaded = loadConfiguration(options.config ?? '', flags);
  if (loaded.folder !== '' && loaded.kubeconfig !== '')
    throw new Refusal('--folder and --kubeconfig exclude each other: Services come from one place');
  const nodeName = (loaded.nodeName || hostname()).trim().toLowerCase();
  return { ...loaded, nodeName };
}

/** How commands print what a source found wrong. */
export function problemLine({ where, message, severity }: SourceProblem): string {
  return `${severity === 'info' ? 'note' : 'warning'}: ${where}: ${message}`;
}
