// Is the socket hook effective? An attach call that succeeded says little: the programs may sit at a cgroup that no
// process is in (kind, nested containers). So a real connect() is made from inside the cgroup, and must arrive.

import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { FrontendFlags, Kind } from '../abi/layout.gen.js';
import type { BpfMaps } from '../dataplane/bpf/maps.js';
import { parseAddress } from '../lib/ip.js';
import type { Logger } from './log.js';

/** A loopback address that nobody uses; nothing listens there, so only a translated connect() can succeed. */
const PROBE_ADDRESS = '127.113.207.11';
const PROBE_PORT = 9;
const IPPROTO_TCP = 6;
/** Id 0 is never handed out (abi.h): what a crash leaves behind here is nobody's, and the next prune removes it. */
const PROBE_ID = 0;
const TIMEOUT_MS = 3000;

const addr = (text: string): Uint8Array<ArrayBuffer> => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed.bytes;
};

/** Tries the socket hook and logs what came of it. A full map or a missing loopback ends no agent that serves. */
export async function tellSocketHook(maps: BpfMaps, cgroup: string, log: Logger): Promise<void> {
  try {
    const failure = await verifySocketHook(maps, cgroup);
    if (failure === '') log.info({ cgroup }, 'the socket hook is effective: a real connect() was translated');
    else
      log.error(
        { cgroup },
        `the socket hook is attached but not effective (${failure}): is ${cgroup} the cgroup root that processes are in? (bpftool cgroup show ${cgroup} effective)`,
      );
  } catch (error) {
    const { message } = error as Error;
    log.warn({ cgroup }, `whether the socket hook is effective could not be tried: ${message}`);
  }
}

/**
 * @param cgroup the folder that the programs are attached to
 * @returns "" when a connect() from a process in it was translated; else what happened instead
 */
async function verifySocketHook(maps: BpfMaps, cgroup: string): Promise<string> {
  const server = await listen();
  const port = (server.address() as { port: number }).port;
  const frontendKey = { addr: addr(PROBE_ADDRESS), port: PROBE_PORT, proto: IPPROTO_TCP };
  const slotKey = { set: PROBE_ID, index: 0 };
  try {
    maps.slots.set(slotKey, { addr: addr('127.0.0.1'), port, flags: 0, set: PROBE_ID, service: PROBE_ID });
    maps.frontends.set(frontendKey, {
      service: PROBE_ID,
      clusterSet: PROBE_ID,
      clusterCount: 1,
      localSet: 0,
      localCount: 0,
      flags: FrontendFlags.LOCALHOST | FrontendFlags.HAS_ENDPOINTS,
      affinityS: 0,
      kind: Kind.NODE_PORT,
    });
    return await connectFrom(cgroup);
  } finally {
    maps.frontends.delete(frontendKey);
    maps.slots.delete(slotKey);
    server.close();
  }
}

function listen(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

/** The shell moves itself into the cgroup, then becomes the client. */
function connectFrom(cgroup: string): Promise<string> {
  const client = `require('node:net').connect(${PROBE_PORT}, '${PROBE_ADDRESS}').on('connect', () => process.exit(0)).on('error', (e) => { console.error(e.code); process.exit(1); })`;
  return new Promise((resolve) => {
    const child = spawn(
      '/bin/sh',
      ['-c', 'echo $$ > "$1/cgroup.procs" && exec "$2" -e "$3"', 'sh', cgroup, process.execPath, client],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: TIMEOUT_MS,
      },
    );
    let errors = '';
    child.stderr.on('data', (data: Buffer) => {
      errors += data.toString();
    });
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code) => resolve(code === 0 ? '' : errors.trim() || 'the connection timed out'));
  });
}
