// Looks whether the socket hook is still where it belongs: a cgroup may be removed or unmounted under the agent.

import { statSync } from 'node:fs';
import type { Hooks } from '../dataplane/bpf/attach.js';
import type { Native } from '../native/api.js';
import { isCgroup2 } from './cgroup.js';
import type { Logger } from './log.js';

export interface CgroupWatchOptions {
  readonly native: Native;
  readonly hooks: Hooks;
  /** The folder that the socket hook serves. */
  readonly cgroup: string;
  readonly log: Logger;
  /** Attaches the socket hook to the cgroup that is there now. */
  readonly attach: () => void;
}

type CgroupState = 'served' | 'unmounted' | 'removed' | 'replaced';

export class CgroupWatch {
  readonly #options: CgroupWatchOptions;
  #state: CgroupState = 'served';

  constructor(options: CgroupWatchOptions) {
    this.#options = options;
  }

  /** Says what has changed since the last look, and serves a cgroup that has come (back) in place of the old one. */
  check(): void {
    const { cgroup, log, attach } = this.#options;
    const state = this.#look();
    if (state === 'replaced') {
      attach();
      log.info({ cgroup }, 'the cgroup was made anew: the socket hook is attached to it');
    } else if (state !== this.#state) {
      if (state === 'removed')
        log.error(
          { cgroup },
          `the cgroup ${cgroup} was removed, the socket hook serves nobody (the packet path goes on): make it again, or restart with another one (cgroup in the configuration)`,
        );
      else if (state === 'unmounted')
        log.warn(
          { cgroup },
          `${cgroup} is no cgroup v2 folder any more (unmounted?): the socket hook goes on serving; mount it again before the next start`,
        );
      else log.info({ cgroup }, 'the cgroup is back');
    }
    this.#state = state === 'replaced' ? 'served' : state;
  }

  #look(): CgroupState {
    const { native, hooks, cgroup } = this.#options;
    const attached = hooks.attachedCgroup();
    const here = isCgroup2(native, cgroup) ? statSync(cgroup, { bigint: true }).ino : 0n;
    if (here === 0n) return attached === 0n ? 'removed' : 'unmounted';
    return attached === here ? 'served' : 'replaced';
  }
}
