// Collects what is wrong with one Service.

import type { PlanIssue } from './plan.js';

/** More issues of one Service are counted, not listed. */
const LIMIT = 50;
const NONE: PlanIssue[] = [];

/** An issue is told once, however many ports or families it concerns. */
export class Issues {
  /** Most Services have none: nothing is made for those. */
  #issues: PlanIssue[] = NONE;
  #seen: Set<string> | undefined;

  add(code: PlanIssue['code'], message: string): void {
    if (this.#seen === undefined) {
      this.#seen = new Set();
      this.#issues = [];
    }
    if (this.#seen.has(message)) return;
    this.#seen.add(message);
    if (this.#issues.length < LIMIT) this.#issues.push({ code, message });
  }

  list(): readonly PlanIssue[] {
    const hidden = (this.#seen?.size ?? 0) - this.#issues.length;
    if (hidden <= 0) return this.#issues;
    const last = this.#issues.at(-1)!;
    return [...this.#issues, { code: last.code, message: `${hidden} more of this Service are not listed` }];
  }
}

/** Text from a manifest as a message shows it: quoted, and not longer than a line. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
}
