// The command line: `portolan run | compile | services | dump | cleanup | version`.

import { Command, CommanderError } from 'commander';
import { Refusal } from '../agent/refusal.js';
import { NativeError } from '../native/api.js';
import { cleanupCommand } from './cleanup.js';
import { compileCommand } from './compile.js';
import { dumpCommand } from './dump.js';
import { runCommand } from './run.js';
import { servicesCommand } from './services.js';
import { versionCommand } from './version.js';

/** @returns the exit code: 0 done, 1 refused or failed, 2 wrong usage, 3 another instance runs. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const program = new Command('portolan')
    .description(
      'Kubernetes Services in the kernel: an eBPF replacement for kube-proxy, with or without a cluster',
    )
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError('(portolan --help shows the commands)')
    .exitOverride();
  for (const command of [
    runCommand,
    compileCommand,
    servicesCommand,
    dumpCommand,
    cleanupCommand,
    versionCommand,
  ])
    program.addCommand(command().exitOverride());
  try {
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error);
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof Refusal) {
    process.stderr.write(`portolan: ${error.message}\n`);
    return error.exitCode;
  }
  if (error instanceof NativeError) {
    process.stderr.write(`portolan: ${error.message}\n${error.log === '' ? '' : `${error.log}\n`}`);
    return 1;
  }
  process.stderr.write(
    `portolan: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return 1;
}

const EXAMPLES = `
Examples:
  portolan compile examples/shop --node node-a     what would be programmed, and why (no root, no kernel)
  sudo portolan run --folder examples/shop --node-name node-a
  sudo portolan run --kubeconfig /etc/kubernetes/kubelet.conf --node-name $(hostname)
  sudo portolan services                           what the kernel serves now
  sudo portolan cleanup                            takes every trace away
`;
