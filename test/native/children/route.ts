// In a network namespace: follows links and addresses while a veth comes and goes, and prints what was seen.
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { openNative } from '../../../src/native/binding.js';
import { insistOnOwnNetns } from './own-netns.js';

const native = openNative();
insistOnOwnNetns(native);
const NLMSG_DONE = 3;
const NAMES: Record<number, string> = {
  16: 'link',
  17: 'link gone',
  20: 'address',
  21: 'address gone',
  3: 'done',
  2: 'error',
};
const IFLA_IFNAME = 3;

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

let seen: string[] = [];
let dones = 0;
let lost = 0;

/** The name attribute of an ifinfomsg. */
function nameOf(view: DataView, at: number, end: number): string {
  for (let a = at + 32; a + 4 <= end; a += (view.getUint16(a, true) + 3) & ~3) {
    const length = view.getUint16(a, true);
    if (length < 4) break;
    if (view.getUint16(a + 2, true) === IFLA_IFNAME) {
      return new TextDecoder().decode(new Uint8Array(view.buffer, a + 4, length - 5));
    }
  }
  return '?';
}

const route = native.openRoute((messages) => {
  if (messages.length === 0) lost++;
  const view = new DataView(messages.buffer);
  for (let at = 0; at + 16 <= messages.length; at += (view.getUint32(at, true) + 3) & ~3) {
    const type = view.getUint16(at + 4, true);
    const end = at + view.getUint32(at, true);
    if (type === NLMSG_DONE) dones++;
    const what = NAMES[type] ?? `type ${type}`;
    seen.push(type === 16 || type === 17 ? `${what} ${nameOf(view, at, end)}` : what);
  }
});

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited too long for ${what}; seen: ${seen.join(', ')}`);
    await sleep(5);
  }
}

function take(): string[] {
  const result = [...new Set(seen)].sort();
  seen = [];
  return result;
}

// Asked for at once: the kernel does one dump at a time, the socket must line them up.
route.requestDump('links');
route.requestDump('addresses');
await until('both dumps', () => dones === 2);
const dump = take();

ip('link', 'add', 'pod0', 'type', 'veth', 'peer', 'name', 'pod1');
ip('addr', 'add', '192.0.2.1/24', 'dev', 'pod0');
await until('the veth', () => seen.includes('link pod0') && seen.includes('address'));
const appeared = take();
ip('link', 'del', 'pod0');
await until('its end', () => seen.includes('link gone pod0'));
const vanished = take();

// More news than any buffer holds, while nothing reads: it must be told, not passed over.
const batch = Array.from({ length: 5000 }, (_, i) => `link set lo alias x${i}`).join('\n');
for (let i = 0; i < 8; i++) execFileSync('ip', ['-batch', '-'], { input: batch });
await until('the overrun', () => lost > 0);
await sleep(50);
seen = [];
const before = dones;
route.requestDump('links');
await until('a dump after the overrun', () => dones > before);
const afterOverrun = seen.includes('link lo');

route.close();
route.close();
let closed = '';
try {
  route.requestDump('links');
} catch (error) {
  closed = (error as Error).message;
}
console.log(JSON.stringify({ dump, appeared, vanished, lost: lost > 0, afterOverrun, closed }));
