// Keeps the tc hooks on every client-facing device, as devices come, change and go.

import type { Device, Hooks, TcPrograms } from '../dataplane/bpf/attach.js';
import { NativeError } from '../native/api.js';
import type { Configuration } from './config.js';
import { classifyDevice, type DeviceDetector, isLocalPodDevice } from './devices.js';
import type { Logger } from './log.js';
import type { Link } from './rtnetlink.js';

export interface DeviceManagerOptions {
  readonly hooks: Hooks;
  readonly config: Configuration;
  readonly log: Logger;
  /** Tells the programs which devices lead to this node's pods (map `devices`); undefined: forget the device. */
  readonly setLocalPod: (ifindex: number, localPod: boolean | undefined) => void;
  readonly linkByIndex: (ifindex: number) => Link | undefined;
}

interface Attached extends Device {
  readonly localPod: boolean;
}

export class DeviceManager {
  readonly #options: DeviceManagerOptions;
  readonly #detector: DeviceDetector;
  /** Devices that are to be served, attached as soon as there are programs. */
  readonly #wanted = new Map<number, Attached>();
  readonly #attached = new Set<number>();
  #programs: TcPrograms | undefined;
  #noted = false;

  constructor(options: DeviceManagerOptions) {
    this.#options = options;
    this.#detector = deviceDetector(options.config);
  }

  /** Devices with our programs. */
  get attached(): readonly Device[] {
    return [...this.#wanted.values()].filter((device) => this.#attached.has(device.ifindex));
  }

  /** Puts these programs on every device, in place of those that are there. */
  usePrograms(programs: TcPrograms): void {
    this.#programs = programs;
    for (const device of this.#wanted.values()) this.#attach(device);
  }

  /** A device appeared or changed: attach, detach, or nothing. */
  link(link: Link): void {
    const verdict = classifyDevice(link, this.#options.config.devices);
    const before = this.#wanted.get(link.index);
    if (!verdict.serve) {
      this.#options.log.debug({ device: link.name, reason: verdict.reason }, 'device left alone');
      if (before !== undefined) this.#detach(before);
      return;
    }
    const master = link.master === 0 ? '' : (this.#options.linkByIndex(link.master)?.name ?? '');
    const localPod = isLocalPodDevice(link, master, this.#detector);
    const device: Attached = { ifindex: link.index, name: link.name, ethernet: verdict.ethernet, localPod };
    if (before !== undefined && sameDevice(before, device) && this.#attached.has(link.index)) return;
    this.#wanted.set(link.index, device);
    if (before?.localPod !== localPod) this.#options.setLocalPod(link.index, localPod);
    if (this.#attach(device) && before === undefined)
      this.#options.log.debug({ device: link.name, as: verdict.reason }, 'device served');
  }

  linkGone(link: Link): void {
    const device = this.#wanted.get(link.index);
    if (device !== undefined) this.#detach(device);
  }

  /**
   * Takes our programs off devices that an earlier run served and this one does not.
   * @param links all devices: filters at clsact have no pin that would name theirs
   */
  dropOthers(links: readonly Link[]): void {
    const { hooks } = this.#options;
    for (const device of hooks.attachedDevices())
      if (!this.#wantsName(device.name)) hooks.detachDevice(device);
    for (const { index, name } of links)
      if (!this.#wanted.has(index)) hooks.detachDevice({ ifindex: index, name });
  }

  #wantsName(name: string): boolean {
    return [...this.#wanted.values()].some((device) => device.name === name);
  }

  #attach(device: Attached): boolean {
    if (this.#programs === undefined) return false;
    try {
      const { note } = this.#options.hooks.attachDevice(device, this.#programs);
      this.#attached.add(device.ifindex);
      if (note !== undefined && !this.#noted) this.#options.log.warn(note);
      this.#noted = true;
      return true;
    } catch (error) {
      this.#attached.delete(device.ifindex);
      if (!(error instanceof NativeError)) throw error;
      // Pods' devices come and go: one that is gone by now is no trouble.
      const level = this.#options.linkByIndex(device.ifindex) === undefined ? 'debug' : 'error';
      this.#options.log[level]({ device: device.name }, `device is not served: ${error.message}`);
      return false;
    }
  }

  #detach(device: Attached): void {
    this.#wanted.delete(device.ifindex);
    this.#attached.delete(device.ifindex);
    this.#options.setLocalPod(device.ifindex, undefined);
    // After lost notifications a new device of the same name may be known before the old one is found to be gone: the
    // links of that name are the new one's.
    if (!this.#wantsName(device.name)) this.#options.hooks.detachDevice(device);
  }
}

/** How this configuration tells pods by device. */
export function deviceDetector(config: Configuration): DeviceDetector {
  switch (config.detectLocalMode) {
    case 'BridgeInterface':
      return { mode: 'bridge', value: config.bridgeInterface };
    case 'InterfaceNamePrefix':
      return { mode: 'prefix', value: config.interfaceNamePrefix };
    default:
      return { mode: 'none', value: '' };
  }
}

function sameDevice(a: Attached, b: Attached): boolean {
  return a.name === b.name && a.ethernet === b.ethernet && a.localPod === b.localPod;
}
