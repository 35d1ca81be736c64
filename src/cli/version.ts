import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { LAYOUT_HASH, LAYOUT_VERSION } from '../abi/layout.gen.js';
import { type OutputOptions, outputOption } from './options.js';

/** `portolan version`. */
export function versionCommand(): Command {
  return new Command('version')
    .description('version of the agent and of the map layout')
    .addOption(outputOption())
    .action((options: OutputOptions) => {
      const facts = {
        portolan: packageVersion(),
        node: process.version,
        layout: `v${LAYOUT_VERSION} ${LAYOUT_HASH}`,
      };
      if (options.output === 'json') process.stdout.write(`${JSON.stringify(facts, null, 2)}\n`);
      else
        process.stdout.write(
          `portolan ${facts.portolan}\nnode     ${facts.node}\nlayout   ${facts.layout}\n`,
        );
    });
}

/** The version in package.json. */
export function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return String((manifest as { version?: unknown }).version);
}
