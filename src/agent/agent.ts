// `portolan run`: wires the parts together, in the order in which nothing half done is ever visible.
//
//   check the machine → make or open the maps → adopt what is pinned → follow interfaces and the source until both are
//   complete → write what differs, prune, and load the programs beside that → only then attach them → look after flows

import { DeviceFlags } from '../abi/layout.gen.js';
import type { Hooks } from '../dataplane/bpf/attach.js';
import { Hooks as BpfHooks } from '../dataplane/bpf/attach.js';
import { BpfEngine } from '../dataplane/bpf/driver.js';
import { type BpfMaps, openMaps, pinMaps } from '../dataplane/bpf/maps.js';
import type { Node } from '../model/node.js';
import type { Native } from '../native/api.js';
import { openNative } from '../native/binding.js';
import type { RoundResult } from '../reconcile/reconciler.js';
import type { Source } from '../sources/source.js';
import { findCgroup } from './cgroup.js';
import { CgroupWatch } from './cgroup-watch.js';
import type { Configuration } from './config.js';
import { Controller } from './controller.js';
import { DeviceManager } from './device-manager.js';
import { Housekeeping } from './housekeeping.js';
import { Interfaces } from './interfaces.js';
import { createLogger, type Logger } from './log.js';
import { NetfilterCare } from './netfilter-care.js';
import { checkMachine, lockPins, preparePinFolder } from './preflight.js';
import { type ProgramSet, Programs } from './programs.js';
import { Refusal } from './refusal.js';
import { programSettings, tooManyRanges } from './settings.js';
import { createSource } from './sources.js';
import { tellSocketHook } from './verify.js';

const now = (): number => performance.now();
const monotonicNs = (): bigint => process.hrtime.bigint();

/** Serves until a signal. @returns the exit code. @throws Refusal, NativeError when it cannot start. */
export async function runAgent(config: Configuration): Promise<number> {
  const log = createLogger(config.log, process.stderr.isTTY === true);
  const native = openNative();
  checkMachine(native);
  const cgroup = config.hooks.socket ? findCgroup(native, config.cgroup) : '';
  if (preparePinFolder(native, config.pinFolder)) log.info({ pinFolder: config.pinFolder }, 'mounted bpffs');
  const lock = lockPins(native, config.pinFolder);
  const source = createSource(config, { state: 'keep' });
  log.info({ node: config.nodeName, source: source.description, pinFolder: config.pinFolder }, 'starting');
  const agent = await Agent.create({ native, config, log, cgroup, lock });
  try {
    const signal = await Promise.race([stopSignal(), agent.run(source)]);
    log.info({ signal }, 'stopping; the kernel goes on serving');
    return 0;
  } finally {
    // Also after a failure: an open route socket or a timer would keep the process, and its lock, for ever.
    await agent.stop();
  }
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}

interface AgentParts {
  readonly native: Native;
  readonly config: Configuration;
  readonly log: Logger;
  /** "" where the socket hook is off. */
  readonly cgroup: string;
  /** Descriptor that holds the lock on the pin folder. */
  readonly lock: number;
}

class Agent {
  readonly #parts: AgentParts;
  readonly #programs: Programs;
  readonly #hooks: Hooks;
  readonly #maps: BpfMaps;
  readonly #engine: BpfEngine;
  readonly #interfaces: Interfaces;
  readonly #devices: DeviceManager;
  readonly #controller: Controller;
  readonly #housekeeping: Housekeeping;
  readonly #netfilter: NetfilterCare;
  readonly #abort = new AbortController();
  readonly #hostNetns: bigint;
  #serving = false;
  #toldRanges = '';
  #lock: number;

  /** Opens the maps that are pinned, or makes them, and takes over what is in them. */
  static async create(parts: AgentParts): Promise<Agent> {
    const { native, config, log } = parts;
    const hostNetns = native.netnsCookie();
    const programs = new Programs({
      native,
      pinFolder: config.pinFolder,
      mapSizes: definedSizes(config.maps),
      note: (message) => log.warn(message),
    });
    const previous = programs.pinned();
    await programs.makeMaps();
    const agent = new Agent(parts, programs, hostNetns);
    try {
      await agent.#adopt(previous);
    } catch (error) {
      await agent.stop();
      throw error;
    }
    return agent;
  }

  private constructor(parts: AgentParts, programs: Programs, hostNetns: bigint) {
    const { native, config, log } = parts;
    this.#parts = parts;
    this.#lock = parts.lock;
    this.#programs = programs;
    this.#hostNetns = hostNetns;
    this.#netfilter = new NetfilterCare(config, log);
    this.#maps = openMaps(native, config.pinFolder);
    this.#hooks = new BpfHooks({ native, pinFolder: config.pinFolder, tcAttach: config.hooks.tcAttach });
    const attach = (): void => this.#attach();
    const cgroupWatch =
      parts.cgroup === '' ? undefined : new CgroupWatch({ ...parts, hooks: this.#hooks, attach });
    this.#housekeeping = new Housekeeping({
      native,
      maps: this.#maps,
      engine: () => this.#engine,
      config,
      log,
      now,
      nowNs: () => Number(monotonicNs()),
      repair: () => this.#repair(),
      checkCgroup: () => cgroupWatch?.check(),
      checkNetfilter: () => this.#netfilter.check(),
    });
    this.#engine = new BpfEngine({
      native,
      maps: this.#maps,
      preserveClientAddress: config.preserveClientAddress,
      now,
      monotonicNs,
      onUdpBackendsGone: () => this.#housekeeping.destroyStaleSockets(),
    });
    this.#controller = new Controller({
      engine: this.#engine,
      config,
      log,
      now,
      onNodeFacts: (node, ranges) => this.#nodeFacts(node, ranges),
      onRound: () => this.#housekeeping.collectSoon(),
    });
    this.#devices = new DeviceManager({
      hooks: this.#hooks,
      config,
      log,
      setLocalPod: (ifindex, localPod) => this.#setLocalPod(ifindex, localPod),
      linkByIndex: (ifindex) => this.#interfaces.link(ifindex),
    });
    this.#interfaces = new Interfaces(native, {
      link: (link) => config.hooks.tc && this.#devices.link(link),
      linkGone: (link) => config.hooks.tc && this.#devices.linkGone(link),
      addresses: () => this.#tellAddresses(),
    });
  }

  /** Until the signal. Rejects when the source cannot work at all. */
  async run(source: Source): Promise<string> {
    const { config, log } = this.#parts;
    if (config.netfilter) await this.#netfilter.install();
    await this.#excludeNamespaces();
    await this.#interfaces.synced;
    // Once more, now that every bridge has a name: a port may have been told before its bridge.
    if (config.hooks.tc) for (const link of this.#interfaces.links()) this.#devices.link(link);
    this.#tellAddresses();
    const ended = source.run(this.#controller, this.#abort.signal).catch((error: Error) => {
      throw new Refusal(`${source.description}: ${error.message}`);
    });
    const first = await Promise.race([this.#controller.serving, ended]);
    if (first !== undefined) await this.#startServing(first);
    this.#housekeeping.start();
    await ended;
    log.debug('the source has ended');
    return 'end of source';
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#interfaces.close();
    this.#housekeeping.stop();
    await this.#controller.stop();
  }

  /** Takes over what is pinned. Devices that came meanwhile are served at once, by the programs of the earlier run. */
  async #adopt(previous: ProgramSet | undefined): Promise<void> {
    await this.#engine.adopt();
    const services = this.#engine.programmed.size;
    if (previous === undefined || services === 0) return;
    this.#parts.log.info(
      { services },
      'took over what an earlier run left in the kernel; it goes on serving',
    );
    if (this.#parts.config.hooks.tc) this.#devices.usePrograms(previous.tc);
  }

  async #nodeFacts(node: Node | undefined, serviceRanges: readonly string[]): Promise<void> {
    const { native, config, log } = this.#parts;
    this.#tellRanges(tooManyRanges(serviceRanges));
    const { sockDestroy } = native.features();
    const settings = programSettings({
      config,
      node,
      serviceRanges,
      hostNetns: this.#hostNetns,
      sockDestroy,
    });
    if ((await this.#programs.load(settings)) && this.#serving) {
      log.info('node facts changed: new programs take over in place');
      this.#attach();
    }
  }

  /** Once for each set of them: facts come again with every address of this machine. */
  #tellRanges(left: readonly string[]): void {
    if (left.join() === this.#toldRanges) return;
    this.#toldRanges = left.join();
    if (left.length > 0)
      this.#parts.log.warn(
        { ranges: left },
        'too many service ranges: unallocated addresses of these are not dropped',
      );
  }

  async #startServing(first: RoundResult): Promise<void> {
    const { config, log, cgroup } = this.#parts;
    this.#serving = true;
    this.#attach();
    this.#devices.dropOthers(this.#interfaces.links());
    for (const [ifindex] of await this.#maps.devices.dump())
      if (this.#interfaces.link(ifindex) === undefined) this.#maps.devices.delete(ifindex);
    const devices = this.#devices.attached.map((device) => device.name);
    log.info({ services: first.committed.length, failed: first.failed.length, devices, cgroup }, 'serving');
    if (config.hooks.socket) await tellSocketHook(this.#maps, cgroup, log);
  }

  #attach(): void {
    const { config, cgroup } = this.#parts;
    const { tc, sock } = this.#programs.current;
    if (config.hooks.tc) this.#devices.usePrograms(tc);
    if (config.hooks.socket) this.#hooks.attachCgroup(cgroup, sock);
    else this.#hooks.detachCgroup();
    this.#programs.pin();
  }

  /** The pins are gone (bpffs unmounted): mounts it again, pins and attaches everything anew. */
  #repair(): void {
    const { native, config } = this.#parts;
    preparePinFolder(native, config.pinFolder);
    // The lock is on the folder that is gone, or still on this one: either way it has to be taken anew.
    if (this.#lock >= 0) native.closeFd(this.#lock);
    this.#lock = -1; // lockPins may refuse, and a descriptor that is closed twice is somebody else's the second time
    this.#lock = lockPins(native, config.pinFolder);
    pinMaps(native, this.#maps, config.pinFolder);
    this.#attach();
  }

  /** The map outlives the agent: what an earlier configuration excluded is served again. */
  async #excludeNamespaces(): Promise<void> {
    const { native, config, log } = this.#parts;
    const cookies = new Set<bigint>();
    for (const path of config.hooks.excludeNetworkNamespaces) {
      try {
        cookies.add(native.netnsCookie(path));
      } catch (error) {
        log.error({ path }, `hooks.excludeNetworkNamespaces: ${(error as Error).message}`);
      }
    }
    const { excluded_netns } = this.#maps;
    for (const cookie of cookies) excluded_netns.set(cookie, { reason: 1 });
    for (const [cookie] of await excluded_netns.dump())
      if (!cookies.has(cookie)) excluded_netns.delete(cookie);
  }

  #tellAddresses(): void {
    this.#controller.interfaces(this.#interfaces.addresses());
  }

  #setLocalPod(ifindex: number, localPod: boolean | undefined): void {
    try {
      if (localPod === true) this.#maps.devices.set(ifindex, { flags: DeviceFlags.LOCAL_POD });
      else this.#maps.devices.delete(ifindex);
    } catch (error) {
      this.#parts.log.error({ ifindex }, `a pod's device is not known as one: ${(error as Error).message}`);
    }
  }
}

function definedSizes(sizes: Configuration['maps']): Record<string, number> {
  return Object.fromEntries(
    Object.entries(sizes).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}
