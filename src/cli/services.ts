import { Command } from 'commander';
import { REASON_NAMES } from '../abi/layout.gen.js';
import { loadConfiguration } from '../agent/config.js';
import { openPinned } from '../agent/kernel.js';
import type { BpfMaps } from '../dataplane/bpf/maps.js';
import { type KernelService, kernelServices } from '../dataplane/bpf/read.js';
import { servicesTable } from '../observe/services-table.js';
import { type OutputOptions, outputOption } from './options.js';

interface ServicesOptions extends OutputOptions {
  readonly config?: string;
  readonly pinFolder?: string;
}

/** `portolan services`. */
export function servicesCommand(): Command {
  return new Command('services')
    .description(
      'shows what the kernel serves now: frontends, endpoints, live flows, and which hook served how many',
    )
    .argument('[name]', 'only Services whose namespace/name contains this', '')
    .option('--config <file>', 'configuration file (YAML): for its pin folder')
    .option('--pin-folder <dir>', 'where maps and links are pinned')
    .addOption(outputOption())
    .addHelpText('after', HELP)
    .action(services);
}

async function services(name: string, options: ServicesOptions): Promise<void> {
  const config = loadConfiguration(options.config ?? '', { pinFolder: options.pinFolder });
  const { native, maps } = openPinned(config.pinFolder, 'portolan services');
  const nowNs = Number(process.hrtime.bigint());
  const all = await kernelServices(maps, { native, nowNs, timeouts: config.conntrack });
  const chosen = all.filter(({ port }) => `${port.namespace}/${port.service}`.includes(name));
  const reasons = reasonCounts(maps);
  if (options.output === 'json')
    process.stdout.write(`${JSON.stringify({ services: chosen, reasons }, plain, 2)}\n`);
  else process.stdout.write(`${servicesTable(chosen.map(row), reasons).join('\n')}\n`);
}

function row(service: KernelService) {
  return {
    ...service,
    frontends: service.frontends.map(({ kind, address, port }) => ({ kind, address, port })),
    protocol: service.port.protocol,
  };
}

/** Since the maps were made, by the word that metrics and tests use; those that never happened are left out. */
function reasonCounts(maps: BpfMaps): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [reason, name] of REASON_NAMES) {
    const sum = (maps.reasons.get(reason) ?? []).reduce((total, count) => total + count, 0n);
    if (sum > 0n) counts[name] = Number(sum);
  }
  return counts;
}

const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);

const HELP = `
Reads the pinned maps, so it works also when no agent runs.

FLOWS are live: packet flows and sockets. SOCKET and TC count connections and UDP flows since the Service was programmed,
by the hook that decided about them; REFUSED ones were answered (no endpoint), DROPPED ones were not.

Examples:
  sudo portolan services
  sudo portolan services shop/web -o json | jq '.services[].served'
`;
