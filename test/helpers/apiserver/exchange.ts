// One request with its answer, and what handlers of it need.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { parse } from 'yaml';
import type { Faults, Rule } from './faults.js';
import type { Target } from './kinds.js';
import { badRequest, type Status, StatusError, status } from './status.js';
import type { KubeObject, Storage } from './storage.js';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  readonly target: Target;
  readonly storage: Storage;
  readonly faults: Faults;
  readonly bookmarkMs: number;
  /** The TCP connection below TLS: only that one can be reset. */
  readonly socket: Socket;
  /** A fault that strikes this request's stream. */
  readonly streamFault: Extract<Rule['fault'], { readonly kind: 'stream' }> | undefined;
}

export function sendJson(response: ServerResponse, body: unknown, code = 200): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

export function sendStatus(response: ServerResponse, body: Status, retryAfter?: number | string): void {
  if (retryAfter !== undefined) response.setHeader('retry-after', String(retryAfter));
  sendJson(response, body, body.code);
}

/** @returns the body, JSON or YAML. @throws StatusError 400. */
export async function readObject(request: IncomingMessage): Promise<KubeObject> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  let body: unknown;
  try {
    body = request.headers['content-type']?.includes('yaml') ? parse(text) : JSON.parse(text);
  } catch (error) {
    throw badRequest(`cannot parse the body: ${String(error)}`);
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw badRequest('the body is not an object');
  const object = body as KubeObject;
  if (object.metadata !== undefined && (typeof object.metadata !== 'object' || object.metadata === null)) {
    throw new StatusError(status(422, 'metadata: Invalid value: must be an object'));
  }
  return object;
}
