import { Command } from 'commander';
import { runAgent } from '../agent/agent.js';
import { addSourceOptions, configurationFrom, type SourceOptions } from './options.js';

/** `portolan run`. */
export function runCommand(): Command {
  const command = new Command('run')
    .description(
      'serves Services on this node until it is told to stop; the kernel goes on serving after that',
    )
    .addHelpText('after', HELP)
    .action(async (options: SourceOptions) => {
      process.exitCode = await runAgent(configurationFrom(options));
    });
  return addSourceOptions(command);
}

const HELP = `
Services come from --folder, or from an API server: --kubeconfig, or the pod's service account together with
--api-server (the in-cluster address is itself a Service, which after a reboot only Portolan could serve).

Signals: SIGTERM and SIGINT end the agent and leave the dataplane serving; so does kill -9. The next start takes over
what is pinned and writes only what differs. "portolan cleanup" takes everything away.

Exit codes: 0 stopped by a signal, 1 refused or failed, 2 wrong usage, 3 another instance has the pin folder.

Examples:
  sudo portolan run --folder examples/shop --node-name node-a
  sudo portolan run --kubeconfig /etc/portolan/kubeconfig --node-name $(hostname) --cluster-cidr 10.244.0.0/16,fd00:10:244::/56
  sudo portolan run --config /etc/portolan/config.yaml
`;
