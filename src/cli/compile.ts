import { Command } from 'commander';
import { configuration } from '../agent/config.js';
import { compileOnce } from '../agent/one-shot.js';
import { Refusal } from '../agent/refusal.js';
import { createSource } from '../agent/sources.js';
import { compileReport, compileReportData } from '../observe/compile-report.js';
import { type OutputOptions, outputOption, problemLine } from './options.js';

interface CompileOptions extends OutputOptions {
  readonly node: string;
  readonly clusterCidr: string;
}

/** `portolan compile DIR --node NAME [-o json]`. */
export function compileCommand(): Command {
  return new Command('compile')
    .description(
      'shows what would be programmed on a node: frontends, both endpoint lists, and why the rest is left out',
    )
    .argument('<dir>', 'a folder of manifests: Service, EndpointSlice, Endpoints, Pod, Node')
    .requiredOption('--node <name>', 'the node to compile for')
    .option(
      '--cluster-cidr <cidrs>',
      'pod ranges, comma separated: without them nothing to a cluster IP is masqueraded',
      '',
    )
    .addOption(outputOption())
    .addHelpText('after', HELP)
    .action(compile);
}

async function compile(folder: string, options: CompileOptions): Promise<void> {
  const clusterCIDRs = options.clusterCidr.split(',').filter((text) => text !== '');
  const config = configuration({ folder, nodeName: options.node, clusterCIDRs }, 'the command line');
  const { plans, problems, node } = await compileOnce(
    createSource(config, { state: 'ignore' }),
    config,
    undefined,
  ).catch((error: Error) => {
    throw new Refusal(`cannot compile ${folder}: ${error.message}`);
  });
  if (options.output === 'json') {
    const services = compileReportData(plans);
    process.stdout.write(`${JSON.stringify({ node: options.node, services, problems }, null, 2)}\n`);
    return;
  }
  process.stdout.write(`${compileReport(plans).join('\n')}\n`);
  for (const problem of problems) process.stderr.write(`${problemLine(problem)}\n`);
  if (node === undefined)
    process.stderr.write(
      `note: there is no Node ${options.node} in ${folder}: no zone, no node ports, no local endpoints\n`,
    );
}

const HELP = `
Needs neither root nor a kernel, and changes nothing. What the folder leaves open (cluster IPs, node ports) is allocated
for the occasion; "portolan run" keeps its own allocations in a state file.

How to read it: a frontend is an address and port at which clients reach the Service; "cluster" and "local" are the two
endpoint lists that the traffic policies choose from; everything that is in neither is listed with its reason.

Examples:
  portolan compile examples/shop --node node-a
  portolan compile examples/shop --node node-a -o json | jq '.services[].ports[].excluded'
`;
