// The same programs on a real device. A pod's packets come with sums that its device never took (CHECKSUM_PARTIAL) and in
// segments of 64 KiB (GSO), which BPF_PROG_TEST_RUN cannot make: here real kernels talk over veth.
import { mkdirSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exec, must, type Running, start } from '../../lab/exec.js';
import { Dataplane } from './dataplane.js';
import { publish } from './services.js';

const PREFIX = `plt-packet-${process.pid}`;
const FOLDER = `/run/${PREFIX}`;
const NAMESPACES = ['client', 'node', 'backend'] as const;
type Place = (typeof NAMESPACES)[number];

const inside = (place: Place, ...argv: string[]) => [
  'nsenter',
  `--net=/run/netns/${PREFIX}-${place}`,
  '--',
  ...argv,
];

async function cleanUp(): Promise<void> {
  for (const place of NAMESPACES) await exec(['ip', 'netns', 'del', `${PREFIX}-${place}`]);
  await exec(['umount', `${FOLDER}/bpf`]);
  rmSync(FOLDER, { recursive: true, force: true });
}

/** client (10.244.1.5) - node - backend (10.244.2.7), routed, both families; ours is on the node's end of the client's veth. */
async function standUp(): Promise<void> {
  for (const place of NAMESPACES) await must(['ip', 'netns', 'add', `${PREFIX}-${place}`]);
  // Link-local addresses, too, are usable at once: the first IPv6 packet needs one to find its neighbour.
  const noDad = ['net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0'];
  for (const place of NAMESPACES) await must(inside(place, 'sysctl', '-qw', ...noDad));
  const forwarding = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];
  await must(inside('node', 'sysctl', '-qw', ...forwarding));
  for (const [place, net, host] of [
    ['client', 1, 5],
    ['backend', 2, 7],
  ] as const) {
    const lines = [
      `link add ${place} type veth peer name eth0 netns ${PREFIX}-${place}`,
      `addr add 10.244.${net}.1/24 dev ${place}`,
      `addr add fd00:244:${net}::1/64 dev ${place} nodad`,
      `link set ${place} up`,
    ];
    await must(['ip', '-n', `${PREFIX}-node`, '-batch', '-'], { input: `${lines.join('\n')}\n` });
    const far = [
      'link set lo up',
      `addr add 10.244.${net}.${host}/24 dev eth0`,
      `addr add fd00:244:${net}::${host}/64 dev eth0 nodad`,
      'link set eth0 up',
      `route add default via 10.244.${net}.1`,
      `-6 route add default via fd00:244:${net}::1`,
    ];
    for (const line of far) await must(['ip', '-n', `${PREFIX}-${place}`, ...line.split(' ')]);
  }
}

let server: Running;
beforeAll(async () => {
  await cleanUp();
  mkdirSync(`${FOLDER}/bpf`, { recursive: true });
  await must(['mount', '-t', 'bpf', 'bpf', `${FOLDER}/bpf`]);
  await standUp();
  server = await start(
    inside('backend', 'build/peer', 'serve', '--name', 'b', '--tcp', '8080', '--udp', '8080'),
  );
});
afterAll(async () => {
  server?.kill();
  await server?.exited;
  await cleanUp();
});

async function peer(...argv: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await exec(inside('client', 'build/peer', ...argv));
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, unknown>;
}

describe.each([
  ['by hand', 0],
  ['by helpers', 1],
])('sums taken %s', (name, byHelpers) => {
  let plane: Dataplane;
  beforeAll(async () => {
    plane = await Dataplane.load({ variables: { nat_by_helpers: Uint8Array.of(byHelpers) } });
    const pins = `${FOLDER}/bpf/${byHelpers}`;
    mkdirSync(pins);
    await must(inside('node', 'tc', 'qdisc', 'replace', 'dev', 'client', 'clsact'));
    for (const side of ['ingress', 'egress'] as const) {
      plane.native.pin(plane.programFd(`pl_${side}_eth`), `${pins}/${side}`);
      const filter = `tc filter replace dev client ${side} prio 1 handle 1 bpf da object-pinned ${pins}/${side}`;
      await must(inside('node', ...filter.split(' ')));
    }
  });
  afterAll(() => plane?.close());

  describe.each([
    ['IPv4', '10.96.0.1', '10.244.2.7', '10.244.2.7'],
    ['IPv6', 'fd00:96::1', '[fd00:244:2::7]', 'fd00:244:2::7'],
  ])('%s', (_, vip, backend) => {
    const at = (port: number) => (vip.includes(':') ? `[${vip}]:${port}` : `${vip}:${port}`);

    test.each(['tcp', 'udp'] as const)(
      '%s reaches the backend, and its answer comes from the frontend',
      async (proto) => {
        publish(plane, { at: at(80), proto, cluster: [`${backend}:8080`] });
        for (const more of [[], ['--connected']])
          expect(await peer('ask', proto, vip, '80', '--json', ...more)).toMatchObject({
            name: 'b',
            otherPeer: false,
          });
      },
    );

    test.each(['tcp', 'udp'] as const)('%s of many bytes, in segments', async (proto) => {
      publish(plane, { at: at(80), proto, cluster: [`${backend}:8080`] });
      const bytes = proto === 'tcp' ? 8_000_000 : 20_000;
      expect(
        await peer('big', proto, vip, '80', '--bytes', String(bytes), '--json', '--timeout', '5000'),
      ).toMatchObject({ ok: true });
    });

    // Linux forgets an ICMP error that comes while connect() still holds its socket, as it does from so near, and hears
    // the next one, a second later: IPv6 then waits for it. The same happens with the kernel's own REJECT.
    test.each(['tcp', 'udp'] as const)('%s without endpoints is refused', async (proto) => {
      publish(plane, { at: at(81), proto });
      for (const offload of ['off', 'on']) {
        await must(inside('node', 'ethtool', '-K', 'client', 'tx', offload));
        const answer = await peer('ask', proto, vip, '81', '--json', '--connected', '--timeout', '3000');
        expect(answer, `checksum offload ${offload}`).toMatchObject({ error: 'ECONNREFUSED' });
      }
    });

    test('a UDP port that nobody has open at the backend is reported to the client', async () => {
      publish(plane, { at: at(82), proto: 'udp', cluster: [`${backend}:9999`] });
      expect(await peer('ask', 'udp', vip, '82', '--json', '--connected')).toMatchObject({
        error: 'ECONNREFUSED',
      });
    });

    test('a connection whose flow is gone is reset, not left hanging', async () => {
      publish(plane, { at: at(80), cluster: [`${backend}:8080`] });
      const held = peer(
        'hold',
        'tcp',
        vip,
        '80',
        '--connections',
        '3',
        '--interval',
        '50',
        '--seconds',
        '1',
        '--progress',
        '100',
      );
      await new Promise((resolve) => setTimeout(resolve, 400));
      for (const map of ['flows', 'opening'] as const)
        for (const [key] of await plane.entries(map)) plane.delete(map, key);
      const tally = await held;
      expect(tally).toMatchObject({ timeout: 0 });
      expect(tally.reset).toBeGreaterThan(0);
    });
  });

  test('nothing failed on the way', () => {
    const reasons = plane.reasons();
    expect(reasons['drop-nat-failed'], name).toBeUndefined();
    expect(reasons['drop-table-full'], name).toBeUndefined();
  });
});
