// What an API server answers when it does not do what it was asked: HTTP status and Status object.

import type { Fields } from '../fields.js';

/** An answer other than 200, or an ERROR event in a watch. */
export class ApiError extends Error {
  /** HTTP status, or the code in the Status object. */
  readonly status: number;
  /** Status.reason, such as Expired; "" where there is none. */
  readonly reason: string;
  /** How long the server asks us to wait, in milliseconds; 0: it does not say. */
  readonly retryAfterMs: number;

  constructor(status: number, reason: string, message: string, retryAfterMs = 0) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }

  /** Our resourceVersion is too old, or from a future that this server has not seen (restored from a backup). */
  get expired(): boolean {
    return this.status === 410 || /too large resource version/i.test(this.message);
  }
}

/** The server took a watch with initial events and never said that they were over. */
export class NoInitialEventsError extends Error {}

/**
 * @param body what came with an HTTP status other than 200: a Status object, or anything
 * @param retryAfter the header Retry-After: seconds, or a date (RFC 9110)
 */
export function answerError(
  status: number,
  body: string,
  retryAfter: string | undefined,
  now: number,
): ApiError {
  const parsed = parseStatus(body);
  const told = parsed ? textOf(parsed.message) : body.trim().slice(0, 200);
  const reason = parsed ? textOf(parsed.reason) : '';
  const message = told === '' ? `HTTP ${status}${reason && ` ${reason}`}` : `HTTP ${status}: ${told}`;
  return new ApiError(status, reason, message, Math.max(headerDelay(retryAfter, now), detailsDelay(parsed)));
}

/** @param status the Status object of an ERROR event. */
export function eventError(status: Fields): ApiError {
  const code = typeof status.code === 'number' ? status.code : 500;
  const reason = textOf(status.reason);
  const message = [`error ${code} in the watch`, reason, textOf(status.message)]
    .filter((part) => part !== '')
    .join(': ');
  return new ApiError(code, reason, message, detailsDelay(status));
}

function parseStatus(body: string): Fields | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Fields) : undefined;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function headerDelay(header: string | undefined, now: number): number {
  if (header === undefined) return 0;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? 0 : Math.max(0, date - now);
}

function detailsDelay(status: Fields | undefined): number {
  const seconds = (status?.details as Fields | null | undefined)?.retryAfterSeconds;
  return typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : 0;
}
