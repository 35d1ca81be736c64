import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocate } from '../../../../src/sources/folder/allocate.js';
import {
  createPools,
  type Grant,
  type Holding,
  type Request,
} from '../../../../src/sources/folder/ledger.js';

const POOLS = createPools(['10.96.0.0/16', 'fd00:10:96::/112'], { from: 30000, to: 32767 });

function request(name: string, more: Partial<Request> = {}): Request {
  return {
    name,
    createdAt: 0,
    wantsClusterIP: true,
    clusterIPs: [],
    ipFamilies: [],
    policy: '',
    ports: [{ protocol: 'TCP', port: 80, nodePort: 0 }],
    wantsNodePorts: false,
    wantsHealthCheck: false,
    healthCheckNodePort: 0,
    ...more,
  };
}

function run(requests: readonly Request[], held: ReadonlyMap<string, Holding> = new Map(), pools = POOLS) {
  const { grants, problems } = allocate(requests, held, [], pools);
  return { grants, complaints: problems.map(({ service, message }) => `${service} ${message}`) };
}

const families = (requested: Partial<Request>, pools = POOLS) => {
  const { grants, complaints } = run([request('a', requested)], new Map(), pools);
  return [grants.get('a')!.ipFamilies.join(), ...complaints];
};

describe('allocate() cluster IPs', () => {
  it('gives one of the first range, always the same one, not of the band for fixed addresses', () => {
    const [address] = run([request('shop/web')]).grants.get('shop/web')!.clusterIPs;
    expect(address).toMatch(/^10\.96\.(?!0\.)\d+\.\d+$/);
    const others = Array.from({ length: 50 }, (_, i) => request(`x/${i}`));
    expect(run([...others, request('shop/web')]).grants.get('shop/web')!.clusterIPs).toEqual([address]);
  });

  it('respects ipFamilies and ipFamilyPolicy', () => {
    const single = createPools(['10.96.0.0/16'], POOLS.nodePorts);
    expect(families({})).toEqual(['IPv4']);
    expect(families({ ipFamilies: ['IPv6'] })).toEqual(['IPv6']);
    expect(families({ ipFamilies: ['IPv6', 'IPv4'] })).toEqual(['IPv6,IPv4']);
    expect(families({ policy: 'PreferDualStack' })).toEqual(['IPv4,IPv6']);
    expect(families({ policy: 'PreferDualStack' }, single)).toEqual(['IPv4']);
    expect(families({ clusterIPs: ['fd00:10:96::5'], policy: 'RequireDualStack' })).toEqual(['IPv6,IPv4']);
    const lacking = 'a needs an IPv6 cluster IP, but there is no service range of IPv6';
    expect(families({ policy: 'RequireDualStack' }, single)).toEqual(['IPv4', lacking]);
    expect(families({ ipFamilies: ['IPv6'] }, single)).toEqual(['', lacking]);
  });

  it('honours what is asked for, outside the ranges with a note', () => {
    const { grants, complaints } = run([
      request('a', { clusterIPs: ['10.96.0.10', 'fd00:10:96::5'] }),
      request('b', { clusterIPs: ['172.30.0.1'] }),
    ]);
    expect(grants.get('a')!.clusterIPs).toEqual(['10.96.0.10', 'fd00:10:96::5']);
    expect(grants.get('b')!.clusterIPs).toEqual(['172.30.0.1']);
    expect(complaints).toEqual(['b cluster IP 172.30.0.1 is outside the service ranges']);
  });

  it('leaves a clash to the older one, then to the name', () => {
    const clusterIPs = ['10.96.0.10'];
    const both = [request('a', { clusterIPs, createdAt: 5 }), request('b', { clusterIPs, createdAt: 4 })];
    const { grants, complaints } = run(both);
    expect([grants.get('a')!.clusterIPs, grants.get('b')!.clusterIPs]).toEqual([[], clusterIPs]);
    expect(complaints).toEqual([
      'a cluster IP 10.96.0.10 belongs to Service b, which came first; choose another',
    ]);
    const tie = run(both.map((one) => ({ ...one, createdAt: 1 })));
    expect(tie.grants.get('a')!.clusterIPs).toEqual(clusterIPs);
  });

  it('gives what a younger one asks for, but an older one holds, only to the older', () => {
    const held = new Map([['old', { clusterIPs: ['10.96.9.9'], nodePorts: {}, healthCheckNodePort: 0 }]]);
    const requests = [
      request('new', { clusterIPs: ['10.96.9.9'], createdAt: 2 }),
      request('old', { createdAt: 1 }),
    ];
    const { grants, complaints } = run(requests, held);
    expect([grants.get('old')!.clusterIPs, grants.get('new')!.clusterIPs]).toEqual([['10.96.9.9'], []]);
    expect(complaints).toHaveLength(1);
  });

  it('names the Services for which a range is too small', () => {
    const small = createPools(['10.0.0.0/29'], { from: 30000, to: 30001 });
    const requests = Array.from({ length: 7 }, (_, i) => request(`s${i}`, { wantsNodePorts: i < 3 }));
    const { grants, complaints } = run(requests, new Map(), small);
    expect(new Set([...grants.values()].flatMap(({ clusterIPs }) => clusterIPs)).size).toBe(6);
    expect(complaints).toEqual([
      's2 gets no node port for TCP/80: every port of 30000-30001 is taken',
      's6 gets no IPv4 cluster IP: every address of the service ranges is taken',
    ]);
  });

  it('keeps what Services of broken files hold', () => {
    const tiny = createPools(['10.0.0.0/30'], POOLS.nodePorts);
    const held = new Map([
      ['lost', { clusterIPs: ['10.0.0.1'], nodePorts: { 'TCP/80': 30500 }, healthCheckNodePort: 0 }],
    ]);
    const requests = [
      request('a'),
      request('b', { wantsNodePorts: true, ports: [{ protocol: 'TCP', port: 80, nodePort: 30500 }] }),
    ];
    const { grants, problems } = allocate(requests, held, ['lost'], tiny);
    expect(grants.get('a')!.clusterIPs).toEqual(['10.0.0.2']);
    expect(problems.map(({ message }) => message)).toEqual([
      'nodePort 30500 belongs to Service lost, which came first; choose another',
      'gets no IPv4 cluster IP: every address of the service ranges is taken',
    ]);
  });
});

describe('allocate() node ports', () => {
  const ports = (...list: [Request['ports'][number]['protocol'], number, number][]) =>
    list.map(([protocol, port, nodePort]) => ({ protocol, port, nodePort }));

  it('gives one to each port, the same one to the same number of another protocol', () => {
    const dns = request('dns', {
      wantsNodePorts: true,
      ports: ports(['UDP', 53, 0], ['TCP', 53, 0], ['TCP', 9153, 0]),
    });
    const { nodePorts } = run([dns]).grants.get('dns')!;
    expect(nodePorts['UDP/53']).toBe(nodePorts['TCP/53']);
    expect(nodePorts['TCP/9153']).not.toBe(nodePorts['TCP/53']);
    for (const port of Object.values(nodePorts)) expect(port).toBeGreaterThanOrEqual(30086);
  });

  it('honours what is asked for, and names both where two ask for one', () => {
    const wanting = (name: string) =>
      request(name, { wantsNodePorts: true, ports: ports(['TCP', 80, 30080]) });
    const { grants, complaints } = run([
      wanting('b'),
      wanting('a'),
      request('c', { ports: ports(['TCP', 80, 22]) }),
    ]);
    expect(grants.get('a')!.nodePorts).toEqual({ 'TCP/80': 30080 });
    expect(grants.get('b')!.nodePorts).toEqual({});
    expect(complaints).toEqual([
      'b nodePort 30080 belongs to Service a, which came first; choose another',
      'c nodePort 22 is not in the node port range 30000-32767',
    ]);
  });

  it('finds one for the health check that nothing else has', () => {
    const balancer = request('lb', { wantsNodePorts: true, wantsHealthCheck: true });
    const granted = run([balancer]).grants.get('lb')!;
    expect(granted.healthCheckNodePort).toBeGreaterThanOrEqual(30000);
    expect(Object.values(granted.nodePorts)).not.toContain(granted.healthCheckNodePort);
    const asking = { ...balancer, healthCheckNodePort: 31999 };
    expect(run([asking]).grants.get('lb')!.healthCheckNodePort).toBe(31999);
  });
});

describe('allocate() always', () => {
  const tiny = createPools(['10.0.0.0/28', 'fd00::/124'], { from: 30000, to: 30015 });
  const anyRequest = fc.record({
    name: fc.integer({ min: 0, max: 15 }).map((i) => `ns/s${i}`),
    createdAt: fc.integer({ min: 0, max: 3 }),
    clusterIPs: fc.constantFrom([], ['10.0.0.3'], ['fd00::3'], ['10.0.0.4', 'fd00::4'], ['10.9.9.9']),
    policy: fc.constantFrom('', 'PreferDualStack', 'RequireDualStack') as fc.Arbitrary<Request['policy']>,
    wantsNodePorts: fc.boolean(),
    wantsHealthCheck: fc.boolean(),
    nodePort: fc.constantFrom(0, 0, 30003, 30004),
  });
  const anyRequests = fc
    .uniqueArray(anyRequest, { selector: ({ name }) => name, maxLength: 16 })
    .map((list) =>
      list.map((one) =>
        request(one.name, { ...one, ports: [{ protocol: 'TCP', port: 80, nodePort: one.nodePort }] }),
      ),
    );
  const holdings = (grants: ReadonlyMap<string, Grant>) => new Map<string, Holding>(grants);

  it('gives nothing to two, does not depend on the order, and changes nothing when asked again', () => {
    fc.assert(
      fc.property(anyRequests, anyRequests, (first, second) => {
        const before = run(first, new Map(), tiny).grants;
        const { grants } = run(second, holdings(before), tiny);
        const addresses = [...grants.values()].flatMap(({ clusterIPs }) => clusterIPs);
        expect(new Set(addresses).size).toBe(addresses.length);
        const taken = [...grants.values()].flatMap(({ nodePorts, healthCheckNodePort: check }) => [
          ...Object.values(nodePorts),
          ...(check ? [check] : []),
        ]);
        expect(new Set(taken).size).toBe(taken.length);
        expect(run([...second].reverse(), holdings(before), tiny).grants).toEqual(grants);
        expect(run(second, holdings(grants), tiny).grants).toEqual(grants);
      }),
      { numRuns: 300 },
    );
  });
});

describe('createPools()', () => {
  it.each(['10.0.0.0', 'x/8', '10.0.0.0/32', '10.0.0.0/31'])('refuses %s', (range) => {
    expect(() => createPools([range], POOLS.nodePorts)).toThrow(RangeError);
  });
  it('refuses a node port range outside 1-65535', () => {
    expect(() => createPools([], { from: 0, to: 70000 })).toThrow('node port range 0-70000');
  });
  it('takes huge ranges', () => {
    const pools = createPools(['10.0.0.0/8', 'fd00::/8'], POOLS.nodePorts);
    const [v4, v6] = run([request('a', { policy: 'RequireDualStack' })], new Map(), pools).grants.get(
      'a',
    )!.clusterIPs;
    expect(v4).toMatch(/^10\./);
    expect(v6).toMatch(/^fd00::/);
  });
});
