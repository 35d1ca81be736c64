// What a Service is to a proxy: plain data, without a trace of where it came from.
// Sources fill it in as it was written (addresses may be invalid); compile judges it.

/** IP family, as in spec.ipFamilies. */
export type Family = 'IPv4' | 'IPv6';

/** Protocol of a Service port; an absent protocol in Kubernetes is TCP. */
export type Protocol = 'TCP' | 'UDP' | 'SCTP';

export type ServiceType = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';

export type TrafficPolicy = 'Cluster' | 'Local';

/** One entry of spec.ports. */
export interface ServicePort {
  /** "" where the Service has one unnamed port. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** 0: none. */
  readonly nodePort: number;
}

/** One entry of status.loadBalancer.ingress that has an address (entries with only a hostname are left out). */
export interface LoadBalancerIngress {
  readonly ip: string;
  /** ipMode; VIP when absent. */
  readonly mode: 'VIP' | 'Proxy';
}

export interface Service {
  readonly namespace: string;
  readonly name: string;
  /** metadata.creationTimestamp in milliseconds since the epoch; decides who owns a frontend that two Services claim. */
  readonly createdAt: number;
  readonly type: ServiceType;
  /** spec.clusterIP; "" or "None" where there is none. */
  readonly clusterIP: string;
  /** spec.clusterIPs, parallel to ipFamilies. */
  readonly clusterIPs: readonly string[];
  readonly ipFamilies: readonly Family[];
  readonly ports: readonly ServicePort[];
  readonly externalIPs: readonly string[];
  readonly loadBalancerIngress: readonly LoadBalancerIngress[];
  readonly loadBalancerSourceRanges: readonly string[];
  /** ClientIP affinity timeout in seconds; 0 where sessionAffinity is None. */
  readonly affinitySeconds: number;
  readonly externalTrafficPolicy: TrafficPolicy;
  readonly internalTrafficPolicy: TrafficPolicy;
  /** 0: none. */
  readonly healthCheckNodePort: number;
  /** Annotation portolan.dev/socket-hook: false where it is "off". */
  readonly socketHook: boolean;
}

/** The identity of a Service: `namespace/name`. */
export type ServiceName = string;

/** @returns `namespace/name`. */
export function serviceName(object: { readonly namespace: string; readonly name: string }): ServiceName {
  // V8 keeps a template's parts with what it joins, for ever where it is a key of a map; `join` leaves one string.
  return [object.namespace, object.name].join('/');
}
