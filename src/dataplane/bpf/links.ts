// The links of our programs, pinned, and held open while the agent lives: a bpffs that is unmounted takes its pins with
// it, and a link whose last reference goes is detached. They are known by name and by device, so that a start with
// hundreds of pods asks the kernel for each link once.

import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { type Native, NativeError } from '../../native/api.js';
import { makePinFolder } from './pins.js';

/** A pinned link, as it is in the kernel. */
export interface AttachedLink {
  /** Name of its pin. */
  readonly name: string;
  readonly programId: number;
  /** 0: a cgroup's, or its device is gone. */
  readonly ifindex: number;
}

/** Names of links end in -ingress, -egress or a program's name: none ends so. */
const NEXT = '-next';

interface Held {
  readonly fd: number;
  /** Its device when it was opened; the kernel knows no other for it, but 0 when that is gone. 0: a cgroup's. */
  readonly ifindex: number;
}

/** The links that are pinned in one folder. Only one process at a time may change them: the agent's lock sees to that. */
export class PinnedLinks {
  readonly #native: Native;
  readonly #folder: string;
  readonly #held = new Map<string, Held>();
  readonly #byDevice = new Map<number, Set<string>>();

  /** Opens what is pinned. */
  constructor(native: Native, folder: string) {
    this.#native = native;
    this.#folder = folder;
    makePinFolder(folder);
    this.#finishPins();
    for (const name of readdirSync(folder)) {
      const fd = native.getPinned(this.#path(name));
      if (fd >= 0) this.#hold(name, { fd, ifindex: native.linkInfo(fd).ifindex });
    }
  }

  list(): AttachedLink[] {
    return [...this.#held].map(([name, { fd }]) => {
      const { programId, ifindex } = this.#native.linkInfo(fd);
      return { name, programId, ifindex };
    });
  }

  /** The open descriptor of the link of that name; it stays the link's own. */
  descriptor(name: string): number | undefined {
    return this.#held.get(name)?.fd;
  }

  /** Names of the links that are on this device now. */
  onDevice(ifindex: number): string[] {
    const names = [...(this.#byDevice.get(ifindex) ?? [])];
    return names.filter((name) => this.#native.linkInfo(this.#held.get(name)!.fd).ifindex === ifindex);
  }

  /**
   * Puts the program into the link of that name, and pins it again where its pin is gone.
   * @param isHere is the link (a file descriptor) at the place where it is wanted?
   * @returns false where there is none, or it is at another place
   */
  update(name: string, program: number, isHere: (linkFd: number) => boolean): boolean {
    const held = this.#held.get(name);
    if (held === undefined) return false;
    try {
      if (!isHere(held.fd)) return false;
      this.#native.linkUpdate(held.fd, program);
    } catch (error) {
      // The device or cgroup has gone in this moment; making the link anew says so, if it is still gone.
      if (error instanceof NativeError) return false;
      throw error;
    }
    if (!existsSync(this.#path(name))) this.#pin(name, held.fd);
    return true;
  }

  /**
   * Makes a link in place of the one of that name, if there is any.
   * @param target an ifindex or, for a cgroup, its file descriptor
   * @param ifindex 0 for a cgroup
   */
  create(name: string, program: number, target: number, attachType: number, ifindex: number): void {
    const fd = this.#native.linkCreate(program, target, attachType);
    try {
      this.#pin(name, fd);
    } catch (error) {
      this.#native.closeFd(fd);
      throw error;
    }
    this.#release(name);
    this.#hold(name, { fd, ifindex });
  }

  /** In place of the one named `to`, if there is any. */
  rename(from: string, to: string): void {
    const held = this.#held.get(from);
    if (held === undefined || from === to) return;
    if (existsSync(this.#path(from))) renameSync(this.#path(from), this.#path(to));
    else this.#pin(to, held.fd);
    this.#release(to);
    this.#forget(from, held);
    this.#hold(to, held);
  }

  /** Detaches the link; nothing where there is none. */
  drop(name: string): void {
    this.#release(name);
    rmSync(this.#path(name), { force: true });
  }

  /** An agent may have died between a pin and its rename: its link is attached, and the newer one of two. */
  #finishPins(): void {
    for (const next of readdirSync(this.#folder)) {
      if (next.endsWith(NEXT)) renameSync(this.#path(next), this.#path(next.slice(0, -NEXT.length)));
    }
  }

  /** Pins over what is there: one rename, so there is never no pin. */
  #pin(name: string, fd: number): void {
    makePinFolder(this.#folder);
    const next = this.#path(name + NEXT);
    rmSync(next, { force: true });
    this.#native.pin(fd, next);
    renameSync(next, this.#path(name));
  }

  /** Also detaches it: others may have it open. */
  #release(name: string): void {
    const held = this.#held.get(name);
    if (held === undefined) return;
    try {
      this.#native.linkDetach(held.fd);
    } catch (error) {
      if (!(error instanceof NativeError)) throw error; // its device or cgroup is gone: so is the attachment
    } finally {
      this.#native.closeFd(held.fd);
      this.#forget(name, held);
    }
  }

  #hold(name: string, held: Held): void {
    this.#held.set(name, held);
    if (held.ifindex === 0) return;
    const names = this.#byDevice.get(held.ifindex) ?? new Set();
    this.#byDevice.set(held.ifindex, names.add(name));
  }

  #forget(name: string, { ifindex }: Held): void {
    this.#held.delete(name);
    const names = this.#byDevice.get(ifindex);
    if (names?.delete(name) && names.size === 0) this.#byDevice.delete(ifindex);
  }

  #path(name: string): string {
    return `${this.#folder}/${name}`;
  }
}
