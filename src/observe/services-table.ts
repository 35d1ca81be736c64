// The table that `portolan services` prints: one row a Service port, what reaches it, who answers, and what came of it.

import { addressAndPort, type DumpPort } from './dump.js';
import { formatTable } from './table.js';

interface AddressPort {
  readonly address: string;
  readonly port: number;
}

/** What the table needs to know of a Service port; the kernel's reader has more. */
export interface ServiceRow {
  readonly port: DumpPort;
  readonly frontends: readonly (AddressPort & { readonly kind: string })[];
  readonly cluster: readonly AddressPort[];
  readonly local: readonly AddressPort[];
  readonly liveFlows: number;
  readonly served: { readonly socket: number; readonly tc: number };
  readonly rejected: number;
  readonly dropped: number;
}

/** Longer lists are cut: JSON has everything. */
const SHOWN = 3;

const COLUMNS = [
  { title: 'SERVICE' },
  { title: 'PROTO' },
  { title: 'FRONTENDS' },
  { title: 'ENDPOINTS' },
  { title: 'FLOWS', align: 'right' },
  { title: 'SOCKET', align: 'right' },
  { title: 'TC', align: 'right' },
  { title: 'REFUSED', align: 'right' },
  { title: 'DROPPED', align: 'right' },
] as const;

/** @param reasons packets by reason, since the maps were made */
export function servicesTable(
  rows: readonly ServiceRow[],
  reasons: Readonly<Record<string, number>>,
): string[] {
  if (rows.length === 0) return ['no Services are programmed'];
  const lines = formatTable(COLUMNS, rows.flatMap(serviceLines));
  const counts = Object.entries(reasons).map(([reason, count]) => `${reason} ${count}`);
  return counts.length === 0 ? lines : [...lines, '', `packets by reason: ${counts.join(', ')}`];
}

/** Frontends and endpoints stand below each other, so a Service port has as many lines as the longer list. */
function serviceLines(row: ServiceRow): string[][] {
  const frontends = cut(
    row.frontends.map((frontend) => `${addressAndPort(frontend.address, frontend.port)} ${frontend.kind}`),
  );
  const endpoints = cut(endpointTexts(row));
  const name = `${row.port.namespace}/${row.port.service}${row.port.portName === '' ? '' : `:${row.port.portName}`}`;
  const numbers = [row.liveFlows, row.served.socket, row.served.tc, row.rejected, row.dropped].map(String);
  const length = Math.max(frontends.length, endpoints.length, 1);
  return Array.from({ length }, (_, i) => {
    const own = [frontends[i] ?? '', endpoints[i] ?? ''];
    return i === 0 ? [name, row.port.protocol, ...own, ...numbers] : ['', '', ...own];
  });
}

/** Those of either list; a mark where only policy Local uses it. */
function endpointTexts({ cluster, local }: ServiceRow): string[] {
  const texts = cluster.map(({ address, port }) => addressAndPort(address, port));
  const known = new Set(texts);
  const others = local
    .map(({ address, port }) => addressAndPort(address, port))
    .filter((text) => !known.has(text));
  return texts.length + others.length === 0
    ? ['none']
    : [...texts, ...others.map((text) => `${text} (local only)`)];
}

function cut(texts: readonly string[]): string[] {
  if (texts.length <= SHOWN) return [...texts];
  return [...texts.slice(0, SHOWN - 1), `… ${texts.length - SHOWN + 1} more`];
}
