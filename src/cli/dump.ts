import { networkInterfaces } from 'node:os';
import { Command, Option } from 'commander';
import type { Configuration } from '../agent/config.js';
import { openPinned } from '../agent/kernel.js';
import { compileOnce } from '../agent/one-shot.js';
import { createSource } from '../agent/sources.js';
import { kernelDump } from '../dataplane/bpf/read.js';
import type { InterfaceAddress } from '../model/node.js';
import { type DumpEntry, formatDump, planEntries } from '../observe/dump.js';
import {
  addSourceOptions,
  configurationFrom,
  type OutputOptions,
  outputOption,
  problemLine,
  type SourceOptions,
} from './options.js';

interface DumpOptions extends SourceOptions, OutputOptions {
  readonly from: 'plan' | 'kernel';
}

/** `portolan dump [--from plan|kernel]`. */
export function dumpCommand(): Command {
  const command = new Command('dump')
    .description(
      'prints what is programmed, sorted, one line an entry; the same format from the plan and from the kernel',
    )
    .addOption(
      new Option('--from <what>', 'the wanted state, or what the kernel has')
        .choices(['plan', 'kernel'])
        .default('kernel'),
    )
    .addOption(outputOption())
    .addHelpText('after', HELP)
    .action(dump);
  return addSourceOptions(command);
}

async function dump(options: DumpOptions): Promise<void> {
  const config = configurationFrom(options);
  const entries =
    options.from === 'kernel'
      ? await kernelDump(openPinned(config.pinFolder, 'portolan dump --from kernel').maps)
      : await plannedEntries(config);
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(entries, null, 2)}\n`);
  else
    process.stdout.write(
      formatDump(entries)
        .map((line) => `${line}\n`)
        .join(''),
    );
}

async function plannedEntries(config: Configuration): Promise<DumpEntry[]> {
  const source = createSource(config, { state: 'read' });
  const { plans, problems } = await compileOnce(source, config, interfaceAddresses());
  for (const problem of problems) process.stderr.write(`${problemLine(problem)}\n`);
  return plans.flatMap(planEntries);
}

function interfaceAddresses(): InterfaceAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? []).map(({ address }) => ({ interface: name, address })),
  );
}

const HELP = `
Drift, if there is any:
  diff <(portolan dump --from plan --folder DIR --node-name NAME) <(portolan dump --from kernel)

--from kernel reads the pinned maps and needs no running agent. --from plan reads the source (--folder or --kubeconfig,
as for run) and compiles it with this machine's addresses.
`;
