// Puts the netfilter rules in place, says so, and puts them back where somebody has taken them away.

import type { Configuration } from './config.js';
import type { Logger } from './log.js';
import { installNetfilter, netfilterInPlace } from './netfilter.js';

export class NetfilterCare {
  readonly #config: Configuration;
  readonly #log: Logger;
  /** They could not be installed, and it has been said: looking after them would only say it again. */
  #broken = false;

  constructor(config: Configuration, log: Logger) {
    this.#config = config;
    this.#log = log;
  }

  async install(): Promise<void> {
    const { masqueradeMark, nodePortRange } = this.#config;
    const { inPlace, problems } = await installNetfilter(masqueradeMark, nodePortRange);
    this.#log.info({ rules: inPlace }, 'netfilter rules are in place');
    for (const problem of problems) this.#log.error(`netfilter: ${problem}`);
    this.#broken = problems.length > 0;
  }

  async check(): Promise<void> {
    if (this.#broken || (await netfilterInPlace())) return;
    this.#log.warn('netfilter rules of ours are gone (a firewall loaded anew?): putting them back');
    await this.install();
  }
}
