// GET requests to the API server: one pool of connections, several addresses tried in turn, an identity that is renewed.

import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { codeOf } from '../../lib/errors.js';
import { ApiError, answerError } from './api-error.js';
import type { Connection } from './connection.js';
import { type Identity, IdentityReader, type TlsIdentity } from './identity.js';

export interface TransportTiming {
  /** For TCP and TLS to be set up, in milliseconds. */
  readonly connectMs: number;
  /** From there to the answer's headers. */
  readonly answerMs: number;
  /** Without a byte for so long, a connection counts as dead; a watch gets a bookmark about once a minute. */
  readonly idleMs: number;
  /** Credential files are read again after so many milliseconds. */
  readonly refreshMs: number;
}

/** Each reflector has one request at a time, so few sockets are ever open. */
const SOCKET_LIMIT = 8;
const KEEP_ALIVE_MS = 30_000;
/** Of the body of an error, more is not read. */
const ERROR_BODY_LIMIT = 16_384;

export class Transport {
  readonly #connection: Connection;
  readonly #timing: TransportTiming;
  readonly #now: () => number;
  readonly #identity: IdentityReader;
  #agent: http.Agent | undefined;
  #agentTls: TlsIdentity | undefined;
  #turn = 0;

  constructor(connection: Connection, timing: TransportTiming, now: () => number) {
    this.#connection = connection;
    this.#timing = timing;
    this.#now = now;
    this.#identity = new IdentityReader(connection, { now, refreshMs: timing.refreshMs });
  }

  /** Base URL of the server in use. */
  get server(): string {
    return this.#connection.servers[this.#turn % this.#connection.servers.length]!;
  }

  /**
   * @param path with the query
   * @returns an answer with status 200, its body unread.
   * @throws ApiError for another status; the system's error where there was no answer. The next request then goes to the
   *   next address.
   */
  async get(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const turn = this.#turn;
    try {
      return await this.#getWithIdentity(path, signal);
    } catch (error) {
      const elsewhere = !(error instanceof ApiError) || error.status >= 500;
      // Other requests may have moved on meanwhile; moving twice would come back to the one that fails.
      if (elsewhere && !signal.aborted && turn === this.#turn) this.#turn++;
      throw error;
    }
  }

  /** Closes idle connections; those in use close with their request. */
  close(): void {
    this.#agent?.destroy();
  }

  async #getWithIdentity(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const identity = await this.#identity.current();
    try {
      return await this.#send(path, identity, signal);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      this.#identity.renew(identity);
      const renewed = await this.#identity.current();
      if (renewed === identity) throw this.#refused(error);
      return this.#send(path, renewed, signal);
    }
  }

  #refused(error: ApiError): ApiError {
    const why = this.#identity.problem === '' ? '' : ` (${this.#identity.problem})`;
    return new ApiError(
      401,
      error.reason,
      `${error.message}: the credentials are not accepted${why}`,
      error.retryAfterMs,
    );
  }

  async #send(path: string, identity: Identity, signal: AbortSignal): Promise<IncomingMessage> {
    try {
      return await this.#sendOnce(path, identity, signal);
    } catch (error) {
      // The server closed an idle connection at the moment when we took it; that is not its failure.
      if (!(error instanceof StaleSocketError)) throw error;
      return this.#sendOnce(path, identity, signal);
    }
  }

  async #sendOnce(path: string, identity: Identity, signal: AbortSignal): Promise<IncomingMessage> {
    const answer = await this.#answer(path, identity, signal);
    if (answer.statusCode === 200) return answer;
    const body = await readBody(answer, ERROR_BODY_LIMIT);
    throw answerError(answer.statusCode ?? 0, body, answer.headers['retry-after'], this.#now());
  }

  #answer(path: string, identity: Identity, signal: AbortSignal): Promise<IncomingMessage> {
    const url = new URL(this.server + path);
    const { connectMs, answerMs, idleMs } = this.#timing;
    const options = {
      agent: this.#agentFor(identity.tls, url),
      headers: { accept: 'application/json', ...identity.headers },
      signal,
    };
    return new Promise((resolve, reject) => {
      const request = (url.protocol === 'https:' ? https : http).get(url, options);
      const late = (what: string, ms: number) => () =>
        request.destroy(new Error(`${what} within ${ms / 1000} s`));
      let deadline = setTimeout(late(`no connection to ${url.host}`, connectMs), connectMs);
      const connected = () => {
        clearTimeout(deadline);
        deadline = setTimeout(late(`no answer from ${url.host}`, answerMs), answerMs);
      };
      request.on('socket', (socket) => {
        if (request.reusedSocket || !socket.connecting) connected();
        else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', connected);
      });
      request.on('response', (answer) => {
        clearTimeout(deadline);
        request.setTimeout(idleMs, () =>
          answer.destroy(new Error(`nothing from ${url.host} for ${idleMs / 1000} s`)),
        );
        resolve(answer);
      });
      request.on('error', (error) =>
        reject(request.reusedSocket && isReset(error) ? new StaleSocketError() : error),
      );
      request.on('close', () => {
        clearTimeout(deadline);
        reject(new Error(`${url.host} closed the connection`));
      });
    });
  }

  #agentFor(tls: TlsIdentity, url: URL): http.Agent {
    if (this.#agent && this.#agentTls === tls) return this.#agent;
    // Connections in use go on with the old certificates; when they become free, they close.
    if (this.#agent) this.#agent.maxFreeSockets = 0;
    const common = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, maxSockets: SOCKET_LIMIT };
    const { insecure, serverName } = this.#connection;
    this.#agentTls = tls;
    this.#agent =
      url.protocol === 'https:'
        ? new https.Agent({
            ...common,
            ...tls,
            rejectUnauthorized: !insecure,
            ...(serverName ? { servername: serverName } : {}),
          })
        : new http.Agent(common);
    return this.#agent;
  }
}

class StaleSocketError extends Error {}

function isReset(error: Error): boolean {
  return codeOf(error) === 'ECONNRESET' || codeOf(error) === 'EPIPE';
}

/** @returns the body as text, cut off after `limit` bytes. */
export async function readBody(answer: IncomingMessage, limit = Number.POSITIVE_INFINITY): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= limit) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}
