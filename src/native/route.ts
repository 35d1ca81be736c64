import type { Bytes, RouteSocket } from './api.js';
import { checked } from './errors.js';
import type { Library } from './library.js';

/** Messages are read into this and copied out; the kernel's dump messages have at most 32 KiB. */
const BUFFER_SIZE = 64 << 10;
/** Reads per wake-up: a storm of news must not hold up everything else. */
const READS = 64;

const EAGAIN = 11;
const ENOBUFS = 105;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSG_HEADER = 16;

type DumpKind = 'links' | 'addresses';

/** See Native.openRoute. */
export function openRoute(library: Library, onMessages: (messages: Bytes) => void): RouteSocket {
  const fd = checked(library.call('pl_route_open'), 'open an rtnetlink socket');
  return new Route(library, fd, onMessages);
}

class Route implements RouteSocket {
  readonly #library: Library;
  readonly #fd: number;
  readonly #onMessages: (messages: Bytes) => void;
  readonly #buffer = new Uint8Array(BUFFER_SIZE);
  readonly #stop: () => void;
  /** The kernel does one dump of a socket at a time; the others wait here. */
  #waiting: DumpKind[] = [];
  /** Sequence number of the dump under way; 0: none. */
  #sequence = 0;
  #closed = false;

  constructor(library: Library, fd: number, onMessages: (messages: Bytes) => void) {
    this.#library = library;
    this.#fd = fd;
    this.#onMessages = onMessages;
    this.#stop = library.watch(fd, () => this.#drain());
  }

  requestDump(kind: DumpKind): void {
    if (this.#closed) throw new Error('requestDump: the route socket is closed');
    if (!this.#waiting.includes(kind)) this.#waiting.push(kind);
    this.#next();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop();
    this.#library.call('pl_close', this.#fd);
  }

  #next(): void {
    if (this.#sequence !== 0) return;
    const kind = this.#waiting.shift();
    if (!kind) return;
    const result = this.#library.call('pl_route_dump', this.#fd, kind === 'links' ? 0 : 1);
    this.#sequence = checked(result, `ask for a dump of ${kind}`);
  }

  #drain(): void {
    for (let i = 0; i < READS && !this.#closed; i++) {
      const length = this.#library.call('pl_route_receive', this.#fd, this.#buffer, BUFFER_SIZE);
      if (length === -EAGAIN) return;
      if (length === -ENOBUFS) {
        this.#onMessages(new Uint8Array(0));
        continue;
      }
      const messages = this.#buffer.slice(0, checked(length, 'read from the rtnetlink socket'));
      this.#noteEnd(messages);
      this.#onMessages(messages);
      if (!this.#closed) this.#next();
    }
  }

  /** Has the dump under way come to its end? */
  #noteEnd(messages: Bytes): void {
    const view = new DataView(messages.buffer);
    for (let at = 0; at + NLMSG_HEADER <= messages.length; ) {
      const length = view.getUint32(at, true);
      const type = view.getUint16(at + 4, true);
      const ends = type === NLMSG_DONE || type === NLMSG_ERROR;
      if (ends && view.getUint32(at + 8, true) === this.#sequence) this.#sequence = 0;
      if (length < NLMSG_HEADER) return;
      at += (length + 3) & ~3;
    }
  }
}
