// A test API server: the real protocol over TLS, on memory, with faults on demand.

import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import { Access } from './access.js';
import { type Certificates, createCertificates } from './certificates.js';
import { control } from './control.js';
import { discover } from './discovery.js';
import { type Exchange, readObject, sendJson, sendStatus } from './exchange.js';
import { Faults, type RequestFault, type Verb } from './faults.js';
import { parseTarget, type Target } from './kinds.js';
import { base64, makeKubeconfig } from './kubeconfig.js';
import { serveList } from './list.js';
import { putObject } from './manifests.js';
import { serveCreate, serveDelete, serveGet, servePatch, serveReplace } from './objects.js';
import { StatusError, status } from './status.js';
import { type KubeObject, Storage } from './storage.js';
import { serveWatch } from './watch.js';

export interface TestApiServerOptions {
  /** Address to listen at; absent: 127.0.0.1. */
  readonly address?: string;
  /** 0 or absent: any free one. */
  readonly port?: number;
  /** Further addresses or names in the certificate. */
  readonly names?: readonly string[];
  /** Milliseconds between bookmarks; absent: a minute, as the real one. */
  readonly bookmarkMs?: number;
  /** A bearer token that is accepted, as user system:kube-proxy; absent: "test-token". */
  readonly token?: string;
  /** Made before; absent: made now (takes a tenth of a second). */
  readonly certificates?: Certificates;
}

export interface TestApiServer {
  /** https://127.0.0.1:PORT */
  readonly url: string;
  readonly certificates: Certificates;
  readonly storage: Storage;
  readonly faults: Faults;
  readonly access: Access;
  /** `VERB path?query` of all requests so far. */
  readonly requests: readonly string[];
  /** TCP connections accepted so far. */
  readonly connections: number;
  /** Creates or replaces an object by its own kind, in `default` where it says no namespace. */
  put(object: KubeObject): KubeObject;
  /** @returns a kubeconfig with the token, or with the user's fields that are given. */
  kubeconfig(user?: Readonly<Record<string, unknown>>): string;
  /** Breaks all connections and refuses new ones until start(). */
  stop(): Promise<void>;
  /** Listens again, at the same port. */
  start(): Promise<void>;
  /** Stops and removes the certificates that were made for it. */
  close(): Promise<void>;
}

const USER = 'system:kube-proxy';

/** Starts a test API server. */
export async function startTestApiServer(options: TestApiServerOptions = {}): Promise<TestApiServer> {
  const certificates =
    options.certificates ?? createCertificates([...(options.names ?? []), options.address ?? '127.0.0.1']);
  const front = new Front(certificates, options.address ?? '127.0.0.1');
  const storage = new Storage();
  const access = new Access();
  access.tokens.set(options.token ?? 'test-token', USER);
  const requests: string[] = [];
  front.onRequest((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const context = { storage, access, faults: front.faults, bookmarkMs: options.bookmarkMs ?? 60_000 };
    serve(request, response, front.rawSocket(request), context).catch((error: unknown) =>
      fail(response, error),
    );
  });
  await front.start(options.port ?? 0);
  const url = `https://${front.host}`;
  return {
    url,
    certificates,
    storage,
    access,
    faults: front.faults,
    requests,
    get connections() {
      return front.connections;
    },
    put: (object) => putObject(storage, object),
    kubeconfig: (user = { token: options.token ?? 'test-token' }) =>
      makeKubeconfig({ server: url, ca: certificates.ca, user }),
    stop: () => front.stop(),
    start: () => front.start(front.port),
    async close() {
      await front.stop();
      if (!options.certificates) certificates.remove();
    },
  };
}

export { base64, createCertificates };

interface Context {
  readonly storage: Storage;
  readonly access: Access;
  readonly faults: Faults;
  readonly bookmarkMs: number;
}

async function serve(request: IncomingMessage, response: ServerResponse, socket: Socket, context: Context) {
  const url = new URL(request.url ?? '/', 'https://server');
  if (url.pathname.startsWith('/test/')) {
    const body = request.headers['content-length'] ? await readObject(request) : {};
    sendJson(response, control(url.pathname.slice('/test/'.length), body, context.faults, context.storage));
    return;
  }
  const user = context.access.authenticate(request);
  const target = parseTarget(url.pathname);
  if (!target) {
    const answer = discover(url.pathname);
    if (answer === undefined)
      throw new StatusError(status(404, 'the server could not find the requested resource'));
    sendJson(response, answer);
    return;
  }
  const query = url.searchParams;
  const verb = verbOf(request.method ?? 'GET', target, query);
  context.access.authorize(user, verb, target.kind, target.namespace);
  const fault = context.faults.take({ verb, resource: target.kind.plural, continued: query.has('continue') });
  if (fault && fault.kind !== 'stream' && (await strike(fault, response, socket))) return;
  const streamFault = fault?.kind === 'stream' ? fault : undefined;
  await HANDLERS[verb]({ ...context, request, response, query, target, socket, streamFault });
}

const HANDLERS: Readonly<Record<Verb, (exchange: Exchange) => void | Promise<void>>> = {
  get: serveGet,
  list: serveList,
  watch: serveWatch,
  create: serveCreate,
  update: serveReplace,
  patch: servePatch,
  delete: serveDelete,
};

function verbOf(method: string, target: Target, query: URLSearchParams): Verb {
  const one = target.name !== '';
  if (method === 'GET') {
    const watch = query.get('watch');
    if (watch === 'true' || watch === '1') return 'watch';
    return one ? 'get' : 'list';
  }
  if (method === 'POST' && !one) return 'create';
  if (method === 'PUT' && one) return 'update';
  if (method === 'PATCH' && one) return 'patch';
  if (method === 'DELETE' && one) return 'delete';
  throw new StatusError(status(405, `the server does not allow this method on the requested resource`));
}

/** @returns has the request been dealt with? */
async function strike(fault: RequestFault, response: ServerResponse, socket: Socket): Promise<boolean> {
  switch (fault.kind) {
    case 'status':
      sendStatus(response, status(fault.code, fault.message ?? `injected ${fault.code}`), fault.retryAfter);
      return true;
    case 'hang':
      return true;
    case 'reset':
      socket.resetAndDestroy();
      return true;
    case 'slow':
      await new Promise((resolve) => setTimeout(resolve, fault.ms));
      return false;
  }
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy();
  sendStatus(response, error instanceof StatusError ? error.status : status(500, String(error)));
}

/** The listening side: TCP connections in front of TLS, so that they can hang and be reset. */
class Front {
  readonly faults = new Faults();
  readonly #address: string;
  readonly #tls: https.Server;
  readonly #sockets = new Map<number, Socket>();
  #server: net.Server | undefined;
  port = 0;
  connections = 0;

  constructor({ ca, cert, key }: Certificates, address: string) {
    this.#address = address;
    this.#tls = https.createServer({
      ca,
      cert,
      key,
      requestCert: true,
      rejectUnauthorized: false,
      requestTimeout: 0,
    });
    this.#tls.keepAliveTimeout = 60_000;
  }

  get host(): string {
    return `${this.#address.includes(':') ? `[${this.#address}]` : this.#address}:${this.port}`;
  }

  onRequest(listener: (request: IncomingMessage, response: ServerResponse) => void): void {
    this.#tls.on('request', listener);
    this.#tls.on('tlsClientError', () => undefined);
  }

  /** The client's port tells which TCP connection a TLS one runs over. */
  rawSocket(request: IncomingMessage): Socket {
    return this.#sockets.get(request.socket.remotePort ?? 0) ?? request.socket;
  }

  async start(port: number): Promise<void> {
    this.#server = net.createServer({ noDelay: true }, (socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      this.#server!.once('error', reject).listen(port, this.#address, resolve);
    });
    this.port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    // Not resetAndDestroy(): on a connection that the client has just reset itself, it never closes.
    for (const socket of this.#sockets.values()) socket.destroy();
    for (const socket of this.faults.hanging) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.connections++;
    socket.on('error', () => undefined);
    if (this.faults.hangConnections) {
      this.faults.hanging.add(socket);
      socket.on('close', () => this.faults.hanging.delete(socket));
      return;
    }
    const port = socket.remotePort ?? 0;
    this.#sockets.set(port, socket);
    socket.on('close', () => this.#sockets.delete(port));
    this.#tls.emit('connection', socket);
  }
}
