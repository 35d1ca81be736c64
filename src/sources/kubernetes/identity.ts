// Who we are to the API server, now: tokens and certificates are renewed under us.

import { readFile } from 'node:fs/promises';
import type { OutgoingHttpHeaders } from 'node:http';
import { messageOf } from '../../lib/errors.js';
import type { Connection, Material } from './connection.js';
import { createPlugin, type Plugin } from './plugin.js';

/** TLS options of a connection; the object stays the same one while its content does. */
export interface TlsIdentity {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface Identity {
  readonly tls: TlsIdentity;
  readonly headers: OutgoingHttpHeaders;
}

export interface IdentityOptions {
  readonly now: () => number;
  /** Files are read again after so many milliseconds. */
  readonly refreshMs: number;
}

/** Reads tokens and certificates, again when they may have changed. */
export class IdentityReader {
  readonly #connection: Connection;
  readonly #options: IdentityOptions;
  readonly #plugin: Plugin | undefined;
  #current: Identity | undefined;
  #readAt = 0;
  #stale = true;
  #problem = '';
  #refreshing: Promise<Identity> | undefined;

  constructor(connection: Connection, options: IdentityOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#plugin = connection.plugin ? createPlugin(connection.plugin) : undefined;
  }

  /** Why the last renewal failed; "" when it did not. */
  get problem(): string {
    return this.#problem;
  }

  /** The server did not accept us as `refused`: read everything again, unless that has happened since. */
  renew(refused: Identity): void {
    if (refused !== this.#current) return;
    this.#stale = true;
    this.#plugin?.forget();
  }

  /** @returns the identity to use now: the same object while nothing has changed. @throws when there never was one. */
  async current(): Promise<Identity> {
    const fresh = !this.#stale && this.#options.now() - this.#readAt < this.#options.refreshMs;
    // A plugin knows itself when what it gave expires.
    if (this.#current && fresh && !this.#plugin && !this.#refreshing) return this.#current;
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #refresh(): Promise<Identity> {
    this.#readAt = this.#options.now();
    this.#stale = false;
    try {
      this.#current = reused(this.#current, await this.#read());
      this.#problem = '';
    } catch (error) {
      // A file may be missing for the moment of its replacement; what we have may still be good.
      this.#problem = messageOf(error);
      if (!this.#current) throw error;
    }
    return this.#current;
  }

  async #read(): Promise<Identity> {
    const { ca, certificate, token } = this.#connection;
    const tls: { ca?: string; cert?: string; key?: string } = {};
    if (ca) tls.ca = await load(ca, 'certificate authority');
    if (certificate) {
      tls.cert = await load(certificate.cert, 'client certificate');
      tls.key = await load(certificate.key, 'client key');
    }
    const headers: OutgoingHttpHeaders = {};
    if (token) headers.authorization = `Bearer ${(await load(token, 'token')).trim()}`;
    if (!this.#plugin) return { tls, headers };
    const given = await this.#plugin.credentials();
    return { tls: { ...tls, ...given.tls }, headers: { ...headers, ...given.headers } };
  }
}

async function load(material: Material, what: string): Promise<string> {
  if (material.file === undefined) return material.data;
  try {
    return await readFile(material.file, 'utf8');
  } catch (error) {
    throw new Error(`cannot read the ${what}`, { cause: error });
  }
}

/** Keeps the old objects where nothing in them changed: connections are used again while their TLS object is the same. */
function reused(old: Identity | undefined, next: Identity): Identity {
  if (!old) return next;
  const sameTls =
    old.tls.ca === next.tls.ca && old.tls.cert === next.tls.cert && old.tls.key === next.tls.key;
  if (!sameTls) return next;
  const sameHeaders = JSON.stringify(old.headers) === JSON.stringify(next.headers);
  return sameHeaders ? old : { tls: old.tls, headers: next.headers };
}
