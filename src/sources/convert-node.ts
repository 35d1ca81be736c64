// v1 Node → Node, and networking.k8s.io/v1 ServiceCIDR → ServiceCIDR.

import type { Node, NodeAddress } from '../model/node.js';
import { type Conversion, guarded, NO_PROBLEMS, readMetadata, type ServiceCIDR } from './conversion.js';
import { asFields, type Fields, inside, listAt, objectAt, stringAt, stringsAt } from './fields.js';

const ZONE_LABEL = 'topology.kubernetes.io/zone';

/** @returns what a proxy needs of a Node. See convert.ts. */
export function convertNode(object: unknown, where: string): Conversion<'node', Node> {
  return guarded(where, () => {
    const fields = asFields(object, 'Node');
    const metadata = inside('metadata', readMetadata, objectAt(fields, 'metadata'));
    const node: Node = {
      name: metadata.name,
      zone: inside('metadata.labels', stringAt, metadata.labels, ZONE_LABEL),
      addresses: inside('status', readAddresses, objectAt(fields, 'status')),
      podCIDRs: inside('spec', readPodCIDRs, objectAt(fields, 'spec')),
    };
    return { node, problems: NO_PROBLEMS };
  });
}

function readAddresses(status: Fields): readonly NodeAddress[] {
  return listAt(status, 'addresses', (value) => {
    const address = asFields(value, '');
    return { type: stringAt(address, 'type'), address: stringAt(address, 'address') };
  });
}

/** Objects from before dual stack have only spec.podCIDR. */
function readPodCIDRs(spec: Fields): readonly string[] {
  const all = stringsAt(spec, 'podCIDRs');
  const first = stringAt(spec, 'podCIDR');
  return all.length === 0 && first !== '' ? [first] : all;
}

/** @returns the ranges of a ServiceCIDR. See convert.ts. */
export function convertServiceCIDR(object: unknown, where: string): Conversion<'serviceCIDR', ServiceCIDR> {
  return guarded(where, () => {
    const fields = asFields(object, 'ServiceCIDR');
    const metadata = inside('metadata', readMetadata, objectAt(fields, 'metadata'));
    const cidrs = inside('spec', stringsAt, objectAt(fields, 'spec'), 'cidrs');
    return { serviceCIDR: { name: metadata.name, cidrs }, problems: NO_PROBLEMS };
  });
}
