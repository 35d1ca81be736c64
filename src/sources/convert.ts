// Kubernetes-shaped JSON objects → model objects, shared by all sources. Pure.
//
// Each function takes an object of its kind, whatever it may hold, and gives one of
//   {service} and the like  the model object; `problems` names parts that were left out of it,
//   {problem}               it cannot be used; the message names the field: `spec.ports[1].port: 70000 is not a port (1-65535)`,
//   {ignored}               it is fine and not for a proxy; the text says why.
// `where` is put before each message (`where: message`); '' for callers that say the place themselves.

export type { Conversion, Ignored, Problem, ServiceCIDR } from './conversion.js';
export { convertNode, convertServiceCIDR } from './convert-node.js';
export { convertService } from './convert-service.js';
export { convertEndpointSlice } from './convert-slice.js';
