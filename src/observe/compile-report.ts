// What `portolan compile` prints: for each Service, what would be programmed on a node, and why an endpoint is not used.

import type {
  ExcludedEndpoint,
  Exclusion,
  Frontend,
  PlanEndpoint,
  PortPlan,
  ServicePlan,
} from '../compile/plan.js';
import { addressAndPort, conditions } from './dump.js';
import { formatTable } from './table.js';

/** Long lists are cut in the text; JSON has everything. */
const LIST_LIMIT = 20;

const REASONS: Readonly<Record<Exclusion, string>> = {
  'not-ready': 'not ready',
  'not-serving': 'terminating, and no longer serves',
  terminating: 'terminating, and ready endpoints exist',
  'other-node': 'runs on another node',
  'other-zone': 'zone hints keep it for another zone',
  'node-hint': 'node hints keep it for another node',
  'invalid-address': 'its address is not valid',
};

const NO_SOCKET: Readonly<Record<Exclude<Frontend['socket'], true>, string>> = {
  annotation: 'no: portolan.dev/socket-hook is off',
  'source-ranges': 'no: source ranges need the packet',
  'masquerade-all': 'no: masqueradeAll needs the packet',
  sctp: 'no: SCTP needs the packet',
};

const MASQUERADE: Readonly<Record<Frontend['masquerade'], string>> = {
  never: 'nobody',
  always: 'everybody',
  'off-pod': 'all but pods of this node',
};

/** The reason why an endpoint is not in a list, in words. */
export function exclusionText(reason: Exclusion): string {
  return REASONS[reason];
}

/** @returns the lines for people, Services by name. */
export function compileReport(plans: Iterable<ServicePlan>): string[] {
  const reports = byName(plans).map(serviceReport);
  return reports.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines]));
}

/** The same as data: plans as plan.ts has them, Services by name, reasons in words beside their codes. */
export function compileReportData(plans: Iterable<ServicePlan>): readonly object[] {
  return byName(plans).map((plan) => ({
    ...plan,
    ports: plan.ports.map((port) => ({
      ...port,
      excluded: port.excluded.map((entry) => ({ ...entry, text: exclusionText(entry.reason) })),
    })),
  }));
}

function byName(plans: Iterable<ServicePlan>): ServicePlan[] {
  return [...plans].sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

function serviceReport(plan: ServicePlan): string[] {
  const lines = [plan.name];
  if (plan.ports.length === 0)
    lines.push('  nothing to serve: no cluster IP (headless or ExternalName), or no usable port');
  for (const port of plan.ports) lines.push(...portReport(port));
  if (plan.healthCheck !== undefined) {
    const counts = Object.entries(plan.healthCheck.localEndpoints).map(([family, n]) => `${n} ${family}`);
    lines.push(`  health check on node port ${plan.healthCheck.port}: local endpoints ${counts.join(', ')}`);
  }
  for (const issue of plan.issues) lines.push(`  ! ${issue.message} (${issue.code})`);
  return lines;
}

function portReport(port: PortPlan): string[] {
  const usesLocal = port.frontends.some(({ list }) => list === 'local');
  const usesCluster = port.frontends.some(({ list, shortCircuit }) => list === 'cluster' || shortCircuit);
  const lines = [
    `  ${port.portName === '' ? '' : `${port.portName} `}${port.protocol} ${port.family}${portNotes(port)}`,
  ];
  lines.push(...frontendTable(port.frontends));
  if (usesCluster) lines.push(...endpointList('cluster list', port.cluster, port.hasEndpoints));
  if (usesLocal) lines.push(...endpointList('local list', port.local, port.hasEndpoints));
  lines.push(...excludedList(port.excluded));
  return lines;
}

function portNotes(port: PortPlan): string {
  const notes: string[] = [];
  if (port.affinitySeconds > 0) notes.push(`client affinity ${port.affinitySeconds} s`);
  if (port.sourceRanges.length > 0) notes.push(`load balancer only from ${port.sourceRanges.join(', ')}`);
  return notes.length === 0 ? '' : ` (${notes.join('; ')})`;
}

function frontendTable(frontends: readonly Frontend[]): string[] {
  if (frontends.length === 0) return ['    no frontend'];
  const columns = ['FRONTEND', 'KIND', 'ENDPOINTS', 'MASQUERADED', 'SOCKET HOOK'].map((title) => ({ title }));
  const rows = frontends.map((frontend) => [
    addressAndPort(frontend.address, frontend.port),
    frontend.localhost ? `${frontend.kind} (this host only)` : frontend.kind,
    frontend.shortCircuit ? 'local; cluster for this node' : frontend.list,
    MASQUERADE[frontend.masquerade],
    frontend.socket === true ? 'yes' : NO_SOCKET[frontend.socket],
  ]);
  return formatTable(columns, rows, { indent: '    ' });
}

function endpointList(title: string, endpoints: readonly PlanEndpoint[], hasEndpoints: boolean): string[] {
  if (endpoints.length === 0)
    return [`    ${title}: empty; new connections are ${hasEndpoints ? 'dropped' : 'rejected'}`];
  const rows = endpoints
    .slice(0, LIST_LIMIT)
    .map((e) => [addressAndPort(e.address, e.port), conditions(e), e.pod || '-', e.nodeName || '-']);
  const table = untitled(rows);
  return [`    ${title}: ${endpoints.length}`, ...table, ...more(endpoints.length)];
}

function excludedList(excluded: readonly ExcludedEndpoint[]): string[] {
  if (excluded.length === 0) return [];
  const rows = excluded
    .slice(0, LIST_LIMIT)
    .map(({ endpoint, list, reason }) => [
      addressAndPort(endpoint.address, endpoint.port),
      `not in ${list} list:`,
      exclusionText(reason),
    ]);
  return ['    not used', ...untitled(rows), ...more(excluded.length)];
}

function untitled(rows: readonly (readonly string[])[]): string[] {
  const columns = (rows[0] ?? []).map(() => ({ title: '' }));
  return formatTable(columns, rows, { indent: '      ' }).slice(1);
}

function more(count: number): string[] {
  return count > LIST_LIMIT ? [`      ... and ${count - LIST_LIMIT} more (-o json shows all)`] : [];
}
