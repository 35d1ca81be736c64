import { Command } from 'commander';
import { cleanup } from '../agent/cleanup.js';
import { loadConfiguration } from '../agent/config.js';

interface CleanupOptions {
  readonly config?: string;
  readonly pinFolder?: string;
}

/** `portolan cleanup`. */
export function cleanupCommand(): Command {
  return new Command('cleanup')
    .description(
      'takes every trace away: programs, links, maps, netfilter rules; Services are not served any more',
    )
    .option('--config <file>', 'configuration file (YAML): for its pin folder')
    .option('--pin-folder <dir>', 'where maps and links are pinned')
    .addHelpText('after', HELP)
    .action(async (options: CleanupOptions) => {
      const config = loadConfiguration(options.config ?? '', { pinFolder: options.pinFolder });
      const removed = await cleanup(config);
      for (const line of removed) process.stdout.write(`removed ${line}\n`);
      if (removed.length === 0)
        process.stdout.write(`nothing to remove: no pins under ${config.pinFolder}, no rules of ours\n`);
    });
}

const HELP = `
Refuses while an agent runs on the same pin folder. Connections through tc break, because nobody translates their
packets any more; those that the socket hook made go on. The state file of folder mode stays.
`;
