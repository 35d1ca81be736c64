// The ports of one Service that can be served.

import type { Service, ServicePort } from '../model/service.js';
import { type Issues, quote } from './issues.js';

const PROTOCOLS: readonly string[] = ['TCP', 'UDP', 'SCTP'];
/** What fits into the kernel's table of names (PL_NAME_MAX) and into one word of a dump line. */
const NAME = /^[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$/;

/** Can the Service be named where people look? */
export function hasUsableName(service: Service, issues: Issues): boolean {
  if (NAME.test(service.namespace) && NAME.test(service.name)) return true;
  issues.add(
    'invalid-name',
    `the name ${quote(`${service.namespace}/${service.name}`)} cannot be used: namespace and name are at most 63 ` +
      'letters, digits, "-", "." and "_"; rename the Service',
  );
  return false;
}

/** Endpoints are found by a port's name and protocol, frontends by its number and protocol: both are unique. */
export function usablePorts(service: Service, issues: Issues): readonly ServicePort[] {
  if (service.ports.length === 1) return usable(service.ports[0]!, issues) ? service.ports : [];
  const taken = new Map<string, ServicePort>();
  const ports: ServicePort[] = [];
  for (const port of service.ports) {
    if (!usable(port, issues)) continue;
    const keys = [`name/${port.name}/${port.protocol}`, `port/${port.port}/${port.protocol}`];
    const other = taken.get(keys[0]!) ?? taken.get(keys[1]!);
    if (other !== undefined) {
      issues.add('duplicate-port', `${describe(port)} repeats ${describe(other)}; left out`);
      continue;
    }
    for (const key of keys) taken.set(key, port);
    ports.push(withOwnNodePort(port, taken, issues));
  }
  return ports;
}

function withOwnNodePort(port: ServicePort, taken: Map<string, ServicePort>, issues: Issues): ServicePort {
  if (port.nodePort === 0) return port;
  const key = `node-port/${port.nodePort}/${port.protocol}`;
  const other = taken.get(key);
  if (other === undefined) {
    taken.set(key, port);
    return port;
  }
  issues.add(
    'duplicate-port',
    `${describe(port)}: node port ${port.nodePort} belongs to ${describe(other)}; served without`,
  );
  return { ...port, nodePort: 0 };
}

function usable(port: ServicePort, issues: Issues): boolean {
  if (!PROTOCOLS.includes(port.protocol)) {
    issues.add('unsupported-protocol', `${describe(port)}: only TCP, UDP and SCTP are served; left out`);
    return false;
  }
  if (!isPort(port.port) || (port.nodePort !== 0 && !isPort(port.nodePort))) {
    issues.add(
      'invalid-port',
      `${describe(port)}, node port ${port.nodePort}: ports are 1 to 65535; left out`,
    );
    return false;
  }
  if (port.name !== '' && !NAME.test(port.name)) {
    issues.add('invalid-name', `port name ${quote(port.name)} cannot be used; port ${port.port} is left out`);
    return false;
  }
  return true;
}

export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

function describe(port: ServicePort): string {
  const name = port.name === '' ? '' : `${port.name} `;
  return `port ${name}${port.port}/${port.protocol}`;
}
