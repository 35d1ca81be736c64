import { networkInterfaces } from 'node:os';
import { Command, Option } from 'commander';
import { openPinned } from '../agent/kernel.js';
import { compileOnce } from '../agent/one-shot.js';
import { createSource } from '../agent/sources.js';
import { kernelDump } from '../dataplane/bpf/read.js';
import type { InterfaceAddress } from '../model/node.js';
import { formatDump, planEntries } from '../observe/dump.js';
import {
  addSourceOptions,
  configurationFrom,
  type OutputOptions,
  outputOption,
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
      : (
          await compileOnce(createSource(config, { keepState: true }), config, interfaceAddresses())
        ).plans.flatMap(planEntries);
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(entries, null, 2)}\n`);
  else
    process.stdout.write(
      formatDump(entries)
        .map((line) => `${line}\n`)
        .join(''),
    );
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
