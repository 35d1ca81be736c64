// Scenario files: steps of manifests in, the canonical dump out.
//
//   # comment, anywhere before the first section
//   --- context            YAML, over the defaults below; once, first
//   --- step: <what happens>
//                          YAML documents, applied; `delete: Service shop/web` as a document takes one away
//   --- expect             the whole dump after the step, then `issue` lines; UPDATE=1 writes it

import { parse, parseAllDocuments } from 'yaml';
import { type ContextConfig, compileContext } from '../../src/compile/context-from.js';
import type { ServicePlan } from '../../src/compile/plan.js';
import { Planner } from '../../src/compile/planner.js';
import type { InterfaceAddress } from '../../src/model/node.js';
import { serviceName } from '../../src/model/service.js';
import { ModelStore, sliceId } from '../../src/model/store.js';
import { dumpPlans } from '../../src/observe/dump.js';
import { convertEndpointSlice, convertNode, convertService } from '../../src/sources/convert.js';

export interface Section {
  readonly title: string;
  readonly lines: readonly string[];
}

export interface Step {
  readonly title: string;
  readonly manifests: string;
  readonly expected: readonly string[];
}

const HEADING = /^--- (context|step: .+|expect)$/;

/** Node node-1, 192.0.2.1 and 2001:db8::1 on eth0, pods 10.244.0.0/16 and fd00:244::/56. */
const DEFAULTS: ContextConfig = {
  nodeName: 'node-1',
  detectLocalMode: 'ClusterCIDR',
  clusterCIDRs: ['10.244.0.0/16', 'fd00:244::/56'],
  masqueradeAll: false,
  nodePortAddresses: [],
  localhostNodePorts: false,
};
const INTERFACES: readonly InterfaceAddress[] = [
  { interface: 'eth0', address: '192.0.2.1' },
  { interface: 'eth0', address: '2001:db8::1' },
];
const NODE = `
kind: Node
metadata: {name: node-1}
status: {addresses: [{type: InternalIP, address: 192.0.2.1}, {type: InternalIP, address: '2001:db8::1'}]}
`;

/** @throws when a line is outside of any section, or a step has no expectation. */
export function parseScenario(text: string): { preamble: string[]; sections: Section[] } {
  const preamble: string[] = [];
  const sections: { title: string; lines: string[] }[] = [];
  for (const line of text.split('\n')) {
    const heading = HEADING.exec(line);
    if (heading !== null) sections.push({ title: heading[1]!, lines: [] });
    else if (line.startsWith('--- ')) throw new Error(`unknown section: ${line}`);
    else (sections.at(-1)?.lines ?? preamble).push(line);
  }
  return { preamble, sections };
}

/** Runs the steps. @returns what was expected and what came out, step by step. */
export function runScenario(sections: readonly Section[]) {
  const scenario = new Scenario(sections.find(({ title }) => title === 'context')?.lines.join('\n') ?? '');
  return sections
    .filter(({ title }) => title.startsWith('step: '))
    .map((step) => {
      const next = sections[sections.indexOf(step) + 1];
      const expected = next?.title === 'expect' ? next.lines.filter((line) => line !== '') : undefined;
      return { title: step.title.slice(6), expected, actual: scenario.apply(step.lines.join('\n')) };
    });
}

/** The file with what came out in its expect sections. */
export function rewrite(preamble: readonly string[], sections: readonly Section[]): string {
  const results = runScenario(sections);
  const out = [...preamble];
  for (const section of sections) {
    if (section.title === 'expect') continue;
    out.push(`--- ${section.title}`, ...section.lines);
    if (!section.title.startsWith('step: ')) continue;
    if (out.at(-1) !== '') out.push('');
    out.push('--- expect', ...results.shift()!.actual, '');
  }
  return `${out.join('\n').trimEnd()}\n`;
}

class Scenario {
  readonly #store = new ModelStore();
  readonly #planner = new Planner();
  readonly #config: ContextConfig;
  readonly #interfaces: readonly InterfaceAddress[];

  constructor(context: string) {
    const { interfaces = INTERFACES, ...config } = (parse(context) ?? {}) as {
      interfaces?: readonly InterfaceAddress[];
    };
    this.#config = { ...DEFAULTS, ...config };
    this.#interfaces = interfaces;
    this.#applyObject(parse(NODE));
  }

  apply(manifests: string): string[] {
    for (const document of parseAllDocuments(manifests)) {
      if (document.errors.length > 0) throw document.errors[0];
      const object: unknown = document.toJS();
      if (object !== null) this.#applyObject(object as Record<string, unknown>);
    }
    const context = compileContext({
      node: this.#store.node,
      interfaces: this.#interfaces,
      config: this.#config,
    });
    this.#planner.plan(this.#store, context);
    return [...dumpPlans(this.#planner.plans()), ...issueLines(this.#planner.plans())];
  }

  #applyObject(object: Record<string, unknown>): void {
    if (typeof object.delete === 'string') {
      this.#delete(object.delete);
      return;
    }
    switch (object.kind) {
      case 'Service': {
        const { service } = converted(convertService(object, 'Service'));
        this.#store.updateService(serviceName(service), service);
        return;
      }
      case 'EndpointSlice': {
        const { slice } = converted(convertEndpointSlice(object, 'EndpointSlice'));
        this.#store.updateSlice(sliceId(slice), slice);
        return;
      }
      case 'Node':
        this.#store.updateNode(converted(convertNode(object, 'Node')).node);
        return;
      default:
        throw new Error(`a scenario has no ${String(object.kind)}`);
    }
  }

  #delete(what: string): void {
    const [kind, name = ''] = what.split(' ');
    if (kind === 'Service' && this.#store.service(name) !== undefined)
      this.#store.updateService(name, undefined);
    else if (kind === 'EndpointSlice') this.#store.updateSlice(name, undefined);
    else throw new Error(`cannot delete ${what}`);
  }
}

function converted<T extends object>(result: T): Exclude<T, { problem: string } | { ignored: string }> {
  if ('problem' in result) throw new Error(String(result.problem));
  if ('ignored' in result) throw new Error(String(result.ignored));
  return result as Exclude<T, { problem: string } | { ignored: string }>;
}

function issueLines(plans: Iterable<ServicePlan>): string[] {
  return [...plans]
    .flatMap(({ name, issues }) => issues.map((i) => `issue ${name} ${i.code}: ${i.message}`))
    .sort();
}
