// Network namespaces, a cgroup and processes in them, for the socket hook's tests: nothing outside them is touched.

import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { createInterface } from 'node:readline';

const CLIENT = 'build/socket-client';

/** Runs a command, and puts its own words into the error. */
export function sh(command: string): string {
  return execFileSync('sh', ['-ec', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Compiles client/client.c. */
export function buildClient(): void {
  sh(
    `mkdir -p build && cc -O2 -g -Wall -Wextra -Werror -D_GNU_SOURCE -o ${CLIENT} test/socket/client/client.c -lpthread`,
  );
}

/** The mount point of cgroup v2, which is not the first one on a host with v1 beside it. */
export function cgroupRoot(): string {
  const mount = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .find((line) => line.split(' ')[2] === 'cgroup2');
  if (mount === undefined) throw new Error('no cgroup v2 mounted: mount -t cgroup2 none /sys/fs/cgroup');
  return mount.split(' ')[1]!;
}

/** One process of client.c: a command in, an answer out. */
export class Client {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: ((line: string) => void)[] = [];

  constructor(netns: string, cgroup: string) {
    // The process is in its cgroup and namespace before it opens a socket: a socket keeps the cgroup that it was made in.
    const start = `echo $$ > ${cgroup}/cgroup.procs && exec nsenter --net=/run/netns/${netns} ${CLIENT}`;
    this.#child = spawn('sh', ['-ec', start], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stderr.pipe(process.stderr);
    createInterface(this.#child.stdout).on('line', (line) => this.#waiting.shift()?.(line.trimEnd()));
    this.#child.on('exit', (code, signal) => {
      for (const answer of this.#waiting.splice(0)) answer(`error client ended: ${code ?? signal}`);
    });
  }

  /** The answer to one command of client.c: `ok ...`, or `error ENAME`. */
  run(command: string): Promise<string> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#child.stdin.write(`${command}\n`);
    });
  }

  /** The same for several; the answers in order. */
  async script(...commands: string[]): Promise<string[]> {
    const answers: string[] = [];
    for (const command of commands) answers.push(await this.run(command));
    return answers;
  }

  /** Who answered how often: `ask` and `load`. */
  async tally(command: string): Promise<Map<string, number>> {
    const [ok, ...pairs] = (await this.run(command)).split(' ');
    if (ok !== 'ok') throw new Error(`${command}: ${ok} ${pairs.join(' ')}`);
    return new Map(pairs.map((pair) => [pair.split('=')[0]!, Number(pair.split('=')[1])]));
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** Where things are: the same in every test. Backends a-d answer with their letter, addresses nobody translated with `vip`. */
export const LAB = {
  /** Service addresses; a server behind them answers what the socket hook leaves alone. */
  vip4: ['10.96.0.10', '10.96.0.11'],
  vip6: ['fd96::10', 'fd96::11'],
  port: 80,
  /** Backends by letter. The host has no route to x. */
  backend4: {
    a: '10.99.0.1',
    b: '10.99.0.2',
    c: '10.99.0.3',
    d: '10.99.0.4',
    e: '10.99.0.5',
    x: '10.98.0.1',
  },
  backend6: { a: 'fd99::1', b: 'fd99::2', c: 'fd99::3', d: 'fd99::4', e: 'fd99::5', x: 'fd98::1' },
  backendPort: 8080,
  /** The pod's own addresses. */
  pod4: '10.99.1.2',
  pod6: 'fd99:1::2',
  nodePort: 30080,
  /** An address of the host that is link-local; its server answers `link`. */
  link4: '169.254.10.10',
} as const;

export type Letter = keyof typeof LAB.backend4;

export interface Lab {
  /** Names below /run/netns. */
  readonly host: string;
  readonly pod: string;
  /** Directories of cgroup v2: the hook is attached to the first. */
  readonly inside: string;
  readonly outside: string;
  client(netns: 'host' | 'pod', where?: 'inside' | 'outside'): Client;
  close(): Promise<void>;
}

const SERVED = [...Object.entries(LAB.backend4), ...Object.entries(LAB.backend6)].filter(
  ([letter]) => letter !== 'x',
);

function makeNetworks(host: string, pod: string): void {
  const addresses = [LAB.link4, ...LAB.vip4, ...LAB.vip6, ...SERVED.map(([, address]) => address)];
  sh(`
    ip netns add ${host}; ip netns add ${pod}
    ip -n ${host} link set lo up; ip -n ${pod} link set lo up
    ip -n ${host} link add v0 type veth peer name eth0 netns ${pod}
    ip -n ${host} addr add 10.99.1.1/24 dev v0; ip -n ${host} addr add fd99:1::1/64 dev v0 nodad
    ip -n ${pod} addr add ${LAB.pod4}/24 dev eth0; ip -n ${pod} addr add ${LAB.pod6}/64 dev eth0 nodad
    ip -n ${host} link set v0 up; ip -n ${pod} link set eth0 up
    ip -n ${pod} route add default via 10.99.1.1; ip -n ${pod} route add default via fd99:1::1
    ${addresses.map((a) => `ip -n ${host} addr add ${a} dev lo${a.includes(':') ? ' nodad' : ''}`).join('\n    ')}
  `);
}

async function serveAll(server: Client): Promise<void> {
  const listeners = [
    ...[...LAB.vip4, ...LAB.vip6].map((a) => `serve ${a} ${LAB.port} vip`),
    ...SERVED.map(([letter, address]) => `serve ${address} ${LAB.backendPort} ${letter}`),
    `serve ${LAB.link4} ${LAB.port} link`,
    `serve 127.0.0.1 ${LAB.nodePort} loopback`,
  ];
  for (const command of listeners) {
    const answer = await server.run(command);
    if (answer !== 'ok') throw new Error(`${command}: ${answer}`);
  }
}

/** Removes what a run left behind that was killed: names carry the process's id. */
function sweepLeftovers(): void {
  const names = [
    ...(existsSync('/run/netns') ? readdirSync('/run/netns') : []),
    ...readdirSync(cgroupRoot()),
  ];
  for (const name of names) {
    const pid = name.match(/^plt-sock-(\d+)-/)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    sh(`ip netns del ${name} 2>/dev/null || true; rmdir ${cgroupRoot()}/${name} 2>/dev/null || true`);
  }
}

/** Two namespaces (the host's, a pod's), two cgroups, and servers, which run where no hook is. */
export async function openLab(): Promise<Lab> {
  const prefix = `plt-sock-${process.pid}`;
  const [host, pod] = [`${prefix}-host`, `${prefix}-pod`];
  const [inside, outside] = [`${cgroupRoot()}/${prefix}-in`, `${cgroupRoot()}/${prefix}-out`];
  const clients: Client[] = [];
  const lab: Lab = {
    host,
    pod,
    inside,
    outside,
    client(netns, where = 'inside') {
      const client = new Client(netns === 'host' ? host : pod, where === 'inside' ? inside : outside);
      clients.push(client);
      return client;
    },
    async close() {
      await Promise.all(clients.map((client) => client.end()));
      sh(`ip netns del ${host} || true; ip netns del ${pod} || true`);
      for (const directory of [inside, outside]) rmdirSync(directory);
    },
  };
  sweepLeftovers();
  mkdirSync(inside, { recursive: true });
  mkdirSync(outside, { recursive: true });
  try {
    makeNetworks(host, pod);
    await serveAll(lab.client('host', 'outside'));
  } catch (error) {
    await lab.close();
    throw error;
  }
  return lab;
}
