// Makes sockets in a network namespace, destroys some of them by cookie, and prints what became of each.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { openNative } from '../../../src/native/binding.js';

const netns = process.argv[2]!;

// Node knows neither SO_COOKIE nor the error that a destroyed socket reports; Python does.
const SCRIPT = `
import socket, sys, struct, select
SO_COOKIE = 57
def make(family, kind, address):
    s = socket.socket(family, kind)
    s.connect(address)
    return s
tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
tcp.bind(('127.0.0.1', 0)); tcp.listen()
sockets = {
  'udp4': make(socket.AF_INET, socket.SOCK_DGRAM, ('127.0.0.1', 9)),
  'spared4': make(socket.AF_INET, socket.SOCK_DGRAM, ('127.0.0.1', 9)),
  'udp6': make(socket.AF_INET6, socket.SOCK_DGRAM, ('::1', 9)),
  'mapped': make(socket.AF_INET6, socket.SOCK_DGRAM, ('::ffff:127.0.0.1', 9)),
  'tcp4': make(socket.AF_INET, socket.SOCK_STREAM, tcp.getsockname()),
}
for name, s in sockets.items():
    cookie = struct.unpack('<Q', s.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]
    print(name, cookie, flush=True)
print('ready', 0, flush=True)
sys.stdin.readline()
for name, s in sockets.items():
    print(name, s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), flush=True)
`;

async function lines(child: ChildProcess, until: number): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const reader = createInterface({ input: child.stdout! });
  for await (const line of reader) {
    const [name, value] = line.split(' ') as [string, string];
    found.set(name, value);
    if (found.size === until) break;
  }
  return found;
}

const native = openNative();
const before = native.netnsCookie();
const child = spawn('nsenter', [`--net=${netns}`, 'python3', '-c', SCRIPT], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const cookies = await lines(child, 6);
const cookie = (name: string): bigint => BigInt(cookies.get(name)!);
const [UDP, TCP] = [17, 6];

const nothing = await native.destroySockets('/proc/self/ns/net', [
  { family: 4, protocol: UDP, cookie: cookie('udp4') },
]);
const wrongFamily = await native.destroySockets(netns, [
  { family: 6, protocol: UDP, cookie: cookie('udp4') },
]);
const destroyed = await native.destroySockets(netns, [
  { family: 4, protocol: UDP, cookie: cookie('udp4') },
  { family: 6, protocol: UDP, cookie: cookie('udp6') },
  { family: 6, protocol: UDP, cookie: cookie('mapped') },
  { family: 4, protocol: TCP, cookie: cookie('tcp4') },
  { family: 4, protocol: UDP, cookie: 0xffff_ffff_ffff_0000n },
]);
child.stdin!.write('\n');
const errors = await lines(child, 5);
if (child.exitCode === null) await once(child, 'exit');
const cookieThere = native.netnsCookie(netns);
const home = native.netnsCookie() === before;
console.log(
  JSON.stringify({
    nothing,
    wrongFamily,
    destroyed,
    errors: Object.fromEntries(errors),
    home,
    differs: cookieThere !== before && cookieThere > 0n,
  }),
);
