// What compile needs to know of this node, worked out once from the Node object, its interfaces and the configuration.

import type { InterfaceAddress } from '../model/node.js';
import type { Family } from '../model/service.js';

export interface CompileContext {
  readonly nodeName: string;
  /** "" where the node has no zone label. */
  readonly zone: string;
  /** Addresses at which node ports are served, canonical, already chosen by nodePortAddresses. */
  readonly nodePortAddresses: Readonly<Record<Family, readonly string[]>>;
  /** Serve node ports on 127.0.0.1 and ::1 to the host's own processes, too. */
  readonly localhostNodePorts: boolean;
  /** This node's own addresses as the API has them (InternalIP first), canonical. */
  readonly nodeIPs: readonly string[];
  /** All interface addresses; a cluster IP among them is left alone (node-local DNS caches). */
  readonly interfaceAddresses: readonly InterfaceAddress[];
  /** Is there a way to tell this node's pods, per family? (detectLocalMode) */
  readonly localDetector: Readonly<Record<Family, boolean>>;
  readonly masqueradeAll: boolean;
}
