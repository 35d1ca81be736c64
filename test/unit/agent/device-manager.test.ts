import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { configuration } from '../../../src/agent/config.js';
import { DeviceManager } from '../../../src/agent/device-manager.js';
import type { Link } from '../../../src/agent/rtnetlink.js';
import type { Device, Hooks, TcPrograms } from '../../../src/dataplane/bpf/attach.js';
import { NativeError } from '../../../src/native/api.js';

const PROGRAMS: TcPrograms = { pl_ingress_eth: 1, pl_ingress_ip: 2, pl_egress_eth: 3, pl_egress_ip: 4 };

const veth = (index: number, name: string): Link => ({
  index,
  name,
  kind: 'veth',
  slaveKind: '',
  master: 0,
  lower: 0,
  hardware: 1,
  up: true,
});

/** Hooks that remember which device has our programs: by name, as pins have it. */
class RecordedHooks {
  readonly served = new Map<string, number>();
  /** Filters at clsact, which no pin names. */
  readonly filters = new Set<number>();
  busy = false;

  attachDevice(device: Device): { how: 'tcx' } {
    if (this.busy) throw new NativeError('attach', 16, 'EBUSY', 'device or resource busy', '');
    this.served.set(device.name, device.ifindex);
    return { how: 'tcx' };
  }

  detachDevice({ name, ifindex }: Pick<Device, 'ifindex' | 'name'>): void {
    this.served.delete(name);
    this.filters.delete(ifindex);
  }

  attachedDevices(): { name: string; ifindex: number }[] {
    return [...this.served].map(([name, ifindex]) => ({ name, ifindex }));
  }
}

let hooks: RecordedHooks;
let devices: DeviceManager;

beforeEach(() => {
  hooks = new RecordedHooks();
  devices = new DeviceManager({
    hooks: hooks as unknown as Hooks,
    config: configuration({ devices: { exclude: ['skip*'] } }, 'test'),
    log: pino({ level: 'silent' }),
    setLocalPod: () => undefined,
    linkByIndex: () => undefined,
  });
});

test('a device that could not be served is tried again when it changes', () => {
  devices.usePrograms(PROGRAMS);
  hooks.busy = true;
  devices.link({ ...veth(5, 'veth1'), up: false });
  expect(devices.attached).toEqual([]);
  hooks.busy = false;
  devices.link(veth(5, 'veth1'));
  expect(hooks.served).toEqual(new Map([['veth1', 5]]));
});

test('a device made anew under the same name keeps its programs when the old one is found to be gone', () => {
  devices.usePrograms(PROGRAMS);
  devices.link(veth(5, 'veth1'));
  devices.link(veth(6, 'veth1'));
  devices.linkGone(veth(5, 'veth1'));
  expect(hooks.served).toEqual(new Map([['veth1', 6]]));
  expect(devices.attached.map(({ ifindex }) => ifindex)).toEqual([6]);
});

test('what an earlier run has left on devices that are not served now is taken away, filters at clsact, too', () => {
  const links = [veth(5, 'veth1'), veth(6, 'skip1')];
  hooks.served.set('gone0', 0);
  hooks.filters.add(5).add(6);
  for (const link of links) devices.link(link);
  devices.usePrograms(PROGRAMS);
  devices.dropOthers(links);
  expect([...hooks.filters]).toEqual([5]);
  expect([...hooks.served.keys()]).toEqual(['veth1']);
});
