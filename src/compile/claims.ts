// Who owns a frontend that several Services claim. Kept up to date Service by Service, so that a change costs what it
// touches: a frontend that is let go passes to the next in line at once.
//
//   raw plans ──► claimants of each frontend ──► owner: VIP before node port, older Service first, then by name
//                                                  └──► effective plan = raw plan − frontends owned by others + issues

import type { ServiceName } from '../model/service.js';
import { Issues } from './issues.js';
import type { Frontend, PortPlan, ServicePlan } from './plan.js';

/** One Service's claim; the same object for all of its VIPs, and another for all of its node ports. */
interface Claim {
  readonly name: ServiceName;
  readonly namespace: string;
  readonly service: string;
  readonly createdAt: number;
  readonly vip: boolean;
}

/** Effective plans that are new or changed; undefined: the Service is gone. */
export type PlanChanges = ReadonlyMap<ServiceName, ServicePlan | undefined>;

const NO_CHANGES: PlanChanges = new Map();
const NO_LOSSES: ReadonlyMap<Frontend, string> = new Map();

/** Identity of a frontend within the node: `TCP|10.96.0.1|80`. */
export function frontendKey(frontend: Pick<Frontend, 'address' | 'port' | 'protocol'>): string {
  // One string, where a template would stay with its parts: see serviceName.
  return [frontend.protocol, frontend.address, frontend.port].join('|');
}

export class Claims {
  readonly #raw = new Map<ServiceName, ServicePlan>();
  readonly #effective = new Map<ServiceName, ServicePlan>();
  /** Nearly every frontend has one claimant: no array for those. Arrays are in order, the owner first. */
  readonly #claimants = new Map<string, Claim | readonly Claim[]>();
  /** What each Service has lost; only those that have lost something. */
  readonly #lost = new Map<ServiceName, readonly string[]>();

  /** The effective plan. */
  plan(name: ServiceName): ServicePlan | undefined {
    return this.#effective.get(name);
  }

  /** All effective plans. */
  plans(): Iterable<ServicePlan> {
    return this.#effective.values();
  }

  /**
   * Takes the compiled plan of one Service; undefined: it is gone.
   *
   * @returns the effective plan of this Service, and of every other one whose effective plan changes by it
   */
  update(name: ServiceName, plan: ServicePlan | undefined): PlanChanges {
    const before = this.#raw.get(name);
    if (before === undefined && plan === undefined) return NO_CHANGES;
    const rivals = new Set<ServiceName>();
    if (before === undefined || plan === undefined || !claimsTheSame(before, plan)) {
      if (before !== undefined) this.#withdraw(before, rivals);
      if (plan !== undefined) this.#enter(plan, rivals);
    }
    if (plan === undefined) this.#raw.delete(name);
    else this.#raw.set(name, plan);
    rivals.delete(name);
    const changes = new Map<ServiceName, ServicePlan | undefined>();
    this.#judge(name, changes, true);
    for (const rival of rivals) this.#judge(rival, changes, false);
    return changes;
  }

  #withdraw(plan: ServicePlan, rivals: Set<ServiceName>): void {
    eachClaim(plan, (key) => {
      const claimants = this.#claimants.get(key);
      if (!isList(claimants)) {
        this.#claimants.delete(key);
        return;
      }
      const left = claimants.filter((claim) => claim.name !== plan.name);
      this.#claimants.set(key, left.length === 1 ? left[0]! : left);
      for (const claim of left) rivals.add(claim.name);
    });
  }

  #enter(plan: ServicePlan, rivals: Set<ServiceName>): void {
    eachClaim(plan, (key, claim) => {
      const claimants = this.#claimants.get(key);
      if (claimants === undefined) {
        this.#claimants.set(key, claim);
        return;
      }
      const others = isList(claimants) ? claimants : [claimants];
      if (others.some((other) => other.name === plan.name)) return;
      this.#claimants.set(key, [...others, claim].sort(compareClaims));
      for (const other of others) rivals.add(other.name);
    });
  }

  /** Works out one Service's effective plan. `renewed`: its raw plan is a new one. */
  #judge(name: ServiceName, changes: Map<ServiceName, ServicePlan | undefined>, renewed: boolean): void {
    const raw = this.#raw.get(name);
    if (raw === undefined) {
      this.#effective.delete(name);
      this.#lost.delete(name);
      changes.set(name, undefined);
      return;
    }
    const losses = this.#lossesOf(raw);
    const messages = [...losses.values()];
    const before = this.#lost.get(name) ?? [];
    if (!renewed && messages.length === before.length && messages.every((m, i) => m === before[i])) return;
    const effective = losses.size === 0 ? raw : without(raw, losses);
    if (losses.size === 0) this.#lost.delete(name);
    else this.#lost.set(name, messages);
    this.#effective.set(name, effective);
    changes.set(name, effective);
  }

  /** The frontends that others own, each with what to tell people. */
  #lossesOf(plan: ServicePlan): ReadonlyMap<Frontend, string> {
    let losses: Map<Frontend, string> | undefined;
    for (const port of plan.ports) {
      for (const frontend of port.frontends) {
        const claimants = this.#claimants.get(frontendKey(frontend));
        if (!isList(claimants) || claimants[0]!.name === plan.name) continue;
        losses ??= new Map();
        losses.set(frontend, lossMessage(frontend, claimants[0]!));
      }
    }
    return losses ?? NO_LOSSES;
  }
}

function isList(claimants: Claim | readonly Claim[] | undefined): claimants is readonly Claim[] {
  return Array.isArray(claimants);
}

function eachClaim(plan: ServicePlan, visit: (key: string, claim: Claim) => void): void {
  const { name, namespace, service, createdAt } = plan;
  const vip: Claim = { name, namespace, service, createdAt, vip: true };
  const nodePort: Claim = { name, namespace, service, createdAt, vip: false };
  for (const port of plan.ports) {
    for (const frontend of port.frontends) {
      visit(frontendKey(frontend), frontend.kind === 'node-port' ? nodePort : vip);
    }
  }
}

function compareClaims(a: Claim, b: Claim): number {
  if (a.vip !== b.vip) return a.vip ? -1 : 1;
  if (a.createdAt !== b.createdAt) return a.createdAt - b.createdAt;
  return compareText(a.namespace, b.namespace) || compareText(a.service, b.service);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** Most changes concern endpoints only: then no claim needs to be looked at. */
function claimsTheSame(a: ServicePlan, b: ServicePlan): boolean {
  return (
    a.createdAt === b.createdAt &&
    a.ports.length === b.ports.length &&
    a.ports.every((port, i) => sameFrontends(port.frontends, b.ports[i]!.frontends))
  );
}

function sameFrontends(a: readonly Frontend[], b: readonly Frontend[]): boolean {
  return (
    a.length === b.length &&
    a.every((x, i) => {
      const y = b[i]!;
      return x.address === y.address && x.port === y.port && x.protocol === y.protocol && x.kind === y.kind;
    })
  );
}

function without(plan: ServicePlan, losses: ReadonlyMap<Frontend, string>): ServicePlan {
  const ports = plan.ports.map((port): PortPlan => {
    if (!port.frontends.some((frontend) => losses.has(frontend))) return port;
    return { ...port, frontends: port.frontends.filter((frontend) => !losses.has(frontend)) };
  });
  const issues = new Issues();
  for (const { code, message } of plan.issues) issues.add(code, message);
  for (const message of losses.values()) issues.add('frontend-clash', message);
  return { ...plan, ports, issues: issues.list() };
}

function lossMessage(frontend: Frontend, owner: Claim): string {
  const address = frontend.address.includes(':') ? `[${frontend.address}]` : frontend.address;
  const why =
    owner.vip && frontend.kind === 'node-port' ? 'as a VIP, which goes before a node port' : 'and came first';
  return `${frontend.kind} ${address}:${frontend.port}/${frontend.protocol} belongs to ${owner.name}, which has it ${why}`;
}
