// Asks a Service over both protocols and families, and says in few words what came of it.

import type { Placement } from '../../lab/lab.js';
import type { Answer, AskOptions, Protocol } from '../../lab/traffic.js';
import { FAMILIES, type Family, type ServiceName, type Town, target, type Way } from './town.js';

export interface Question {
  readonly from: string;
  readonly service: ServiceName;
  readonly way: Way;
  /** Default: both. */
  readonly family?: Family | undefined;
  /** Questions per family, of each kind: TCP, UDP from unconnected and from connected sockets. */
  readonly count: number;
  readonly options?: AskOptions & Placement;
}

export interface Asked extends Answer {
  readonly family: Family;
  readonly protocol: Protocol;
}

/** All kinds at the same time. */
export async function ask({ lab }: Town, question: Question): Promise<Asked[]> {
  const { from, service, way, family, count, options = {} } = question;
  const asked = (family === undefined ? FAMILIES : [family]).flatMap((f) => {
    const { address, port } = target(service, way, f);
    const one = async (protocol: Protocol, more: AskOptions & Placement): Promise<Asked[]> =>
      (await lab.ask(from, protocol, address, port, more)).map((a) => ({ ...a, family: f, protocol }));
    return [
      one('tcp', { ...options, count }),
      one('udp', { ...options, count }),
      one('udp', { ...options, count, connected: true }),
    ];
  });
  return (await Promise.all(asked)).flat();
}

/** Each kind of outcome once, sorted: who answered, or what went wrong. */
export function outcomes(asked: readonly Asked[]): string[] {
  return [...new Set(asked.map(({ name, error }) => error ?? name ?? 'nobody'))].sort();
}

/** Each error with what it happened to, for messages. */
export function errors(asked: readonly Asked[]): string[] {
  const failed = asked.filter(({ error }) => error !== undefined);
  return [...new Set(failed.map(({ family, protocol, error }) => `${protocol} over IP${family}: ${error}`))];
}
