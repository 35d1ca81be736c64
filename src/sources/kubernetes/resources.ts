// The four resources that a proxy needs, with kube-proxy's selectors, and how each reaches the sink.

import type { EndpointSlice } from '../../model/endpoint.js';
import type { Service } from '../../model/service.js';
import type { Conversion } from '../conversion.js';
import { convertEndpointSlice, convertNode, convertService, convertServiceCIDR } from '../convert.js';
import { PROXY_NAME_LABEL } from '../convert-service.js';
import { HEADLESS_LABEL } from '../convert-slice.js';
import type { Fields } from '../fields.js';
import { createInterner } from '../intern.js';
import type { SourceSink } from '../source.js';
import type { Resource, ResourceHandler } from './resource.js';

export interface ProxyResources {
  readonly services: Resource;
  readonly slices: Resource;
  readonly node: Resource;
  readonly serviceCIDRs: Resource;
}

/** @param nodeName metadata.name of this node's object. */
export function proxyResources(sink: SourceSink, nodeName: string): ProxyResources {
  return {
    services: {
      name: 'services',
      path: '/api/v1/services',
      query: { labelSelector: `!${PROXY_NAME_LABEL}`, fieldSelector: 'spec.clusterIP!=None' },
      optional: false,
      handler: serviceHandler(sink),
    },
    slices: {
      name: 'endpointslices',
      path: '/apis/discovery.k8s.io/v1/endpointslices',
      query: { labelSelector: `!${HEADLESS_LABEL}` },
      optional: false,
      handler: sliceHandler(sink),
    },
    node: {
      name: 'nodes',
      path: '/api/v1/nodes',
      query: { fieldSelector: `metadata.name=${nodeName}` },
      optional: false,
      handler: nodeHandler(sink, nodeName),
    },
    serviceCIDRs: {
      name: 'servicecidrs',
      path: '/apis/networking.k8s.io/v1/servicecidrs',
      query: {},
      optional: true,
      handler: serviceCIDRHandler(sink),
    },
  };
}

/**
 * Tells the sink what a conversion gave.
 * @returns the model object; undefined where the object does not concern us; `keep` where it cannot be used and what was in
 * force stays.
 */
function judged<Name extends string, T>(
  sink: SourceSink,
  where: string,
  name: Name,
  conversion: Conversion<Name, T>,
): T | undefined | 'keep' {
  if ('problem' in conversion) {
    sink.problem({ where, message: conversion.problem });
    return 'keep';
  }
  if ('ignored' in conversion) return undefined;
  for (const message of conversion.problems) sink.problem({ where, message });
  return conversion[name];
}

/** Objects that pass one by one into the sink: what became unusable stays, what no longer concerns us goes. */
function modelHandler<T>(
  read: (key: string, object: Fields) => T | undefined | 'keep',
  tell: (key: string, value: T | undefined) => void,
): ResourceHandler {
  const told = new Set<string>();
  return {
    set(key, object) {
      const value = read(key, object);
      if (value === 'keep') return;
      if (value !== undefined) told.add(key);
      else if (!told.delete(key)) return;
      tell(key, value);
    },
    remove(key) {
      if (told.delete(key)) tell(key, undefined);
    },
    synced() {},
  };
}

function serviceHandler(sink: SourceSink): ResourceHandler {
  return modelHandler<Service>(
    (key, object) => judged(sink, `Service ${key}`, 'service', convertService(object, '')),
    (key, service) => sink.service(key, service),
  );
}

function sliceHandler(sink: SourceSink): ResourceHandler {
  const interner = createInterner();
  return modelHandler<EndpointSlice>(
    (key, object) =>
      judged(sink, `EndpointSlice ${key}`, 'slice', convertEndpointSlice(object, '', interner)),
    (key, slice) => sink.slice(key, slice),
  );
}

function nodeHandler(sink: SourceSink, nodeName: string): ResourceHandler {
  let present = false;
  let missingSaid = false;
  return {
    set(_key: string, object: Fields) {
      present = true;
      const node = judged(sink, `Node ${nodeName}`, 'node', convertNode(object, ''));
      if (node !== 'keep') sink.node(node);
    },
    remove() {
      present = false;
      sink.node(undefined);
    },
    synced() {
      if (present || missingSaid) return;
      missingSaid = true;
      sink.node(undefined);
      sink.problem({ where: `Node ${nodeName}`, message: 'there is no such node; is the node name right?' });
    },
  };
}

function serviceCIDRHandler(sink: SourceSink): ResourceHandler {
  const ranges = new Map<string, readonly string[]>();
  let last: string | undefined;
  let complete = false;
  const tell = () => {
    const cidrs = [...new Set([...ranges.values()].flat())].sort();
    if (!complete || cidrs.join() === last) return;
    last = cidrs.join();
    sink.serviceRanges(cidrs);
  };
  return {
    set(key, object) {
      const range = judged(sink, `ServiceCIDR ${key}`, 'serviceCIDR', convertServiceCIDR(object, ''));
      if (range === 'keep' || range === undefined) return;
      ranges.set(key, range.cidrs);
      tell();
    },
    remove(key) {
      ranges.delete(key);
      tell();
    },
    synced() {
      complete = true;
      tell();
    },
  };
}
