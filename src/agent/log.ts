// The agent's log: readable on a terminal, JSON otherwise, always synchronous (the last line before a crash counts).

import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import type { Configuration } from './config.js';

export type { Logger } from 'pino';

/** A pino logger on standard error, as the configuration wants it. */
export function createLogger(options: Configuration['log'], terminal: boolean): Logger {
  const readable = options.format === 'pretty' || (options.format === 'auto' && terminal);
  const base = { level: options.level, base: null };
  if (!readable)
    return pino(
      { ...base, timestamp: pino.stdTimeFunctions.isoTime },
      pino.destination({ dest: 2, sync: true }),
    );
  return pino(
    base,
    pretty({
      destination: 2,
      sync: true,
      colorize: terminal,
      translateTime: 'SYS:HH:MM:ss.l',
      ignore: 'pid,hostname',
    }),
  );
}
