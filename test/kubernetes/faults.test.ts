// Whatever goes wrong between us and the API server: what was told stays, and in the end both agree again.

import { describe, expect, it } from 'vitest';
import type { StreamFault } from '../helpers/apiserver/faults.js';
import { agree, counters, needless, run, SERVICES, server, synced, useCluster } from './cluster.js';
import { until } from './collector.js';
import { service } from './objects.js';

useCluster();

describe('an open watch breaks', () => {
  const resumed: readonly StreamFault[] = ['reset', 'half-line', 'half-line-end', 'garbage', 'error', 'end'];
  it.each(resumed)('%s: it goes on where it was, and nothing is listed again', async (fault) => {
    const one = await synced();
    const before = one.sink.calls.length;
    expect(server.faults.breakWatches(fault)).toBe(4);
    await agree(one);
    expect(needless(one, before)).toEqual([]);
    expect(counters(one, 'services')).toMatchObject({ lists: 1, expired: 0 });
    expect(one.sink.problems).toEqual([]);
  });

  it('410 in the stream: everything is listed again, and only differences are told', async () => {
    const one = await synced();
    const before = one.sink.calls.length;
    server.faults.breakWatches('expired');
    await agree(one);
    expect(needless(one, before)).toEqual([]);
    expect(counters(one, 'services')).toMatchObject({ lists: 2, expired: 1, unchanged: 5 });
  });

  it('410 as the answer to a watch: what was deleted meanwhile is taken away', async () => {
    const one = await synced();
    const before = one.sink.calls.length;
    server.faults.add({ verb: 'watch', fault: { kind: 'status', code: 503 } });
    server.faults.breakWatches('reset');
    server.storage.delete(SERVICES, 'shop', 's3');
    server.storage.compact();
    server.faults.clear();
    await agree(one);
    expect(needless(one, before)).toEqual(['service- shop/s3']);
    expect(counters(one, 'services').expired).toBe(1);
  });

  it('the initial events break off: nothing that they had not come to is taken for gone', async () => {
    const one = await synced();
    const before = one.sink.calls.length;
    server.faults.add({
      verb: 'watch',
      resource: 'services',
      times: 3,
      fault: { kind: 'stream', fault: 'reset', afterLines: 2 },
    });
    server.faults.breakWatches('expired', 'services');
    await agree(one);
    expect(needless(one, before)).toEqual([]);
  });

  it('the initial events break off at the start: synced is said only when they are complete', async () => {
    server.faults.add({
      verb: 'watch',
      times: 5,
      fault: { kind: 'stream', fault: 'half-line', afterLines: 1 },
    });
    const one = await synced();
    expect(one.sink.services.size).toBe(5);
    expect(one.sink.slices.size).toBe(5);
  });

  it('silence: a dead connection is noticed, bookmarks keep a quiet one', async () => {
    const one = await synced({ timing: { idleMs: 150 } });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(counters(one, 'services').watches).toBe(1);
    server.faults.bookmarks = false;
    await until('noticed', () => counters(one, 'services').watches > 1);
    await agree(one);
    expect(counters(one, 'services').lists).toBe(1);
  });
});

describe('a request fails', () => {
  it.each([500, 502, 503, 429])('%i: it is tried again', async (code) => {
    server.faults.add({ times: 9, fault: { kind: 'status', code } });
    await agree(await synced());
  });

  it('429 with Retry-After is heeded', async () => {
    server.faults.add({ resource: 'nodes', times: 1, fault: { kind: 'status', code: 429, retryAfter: 1 } });
    const start = Date.now();
    await synced();
    expect(Date.now() - start).toBeGreaterThanOrEqual(1000);
    expect(server.requests.filter((request) => request.includes('/nodes')).length).toBe(2);
  });

  it('reset before an answer, slow headers, no answer', async () => {
    server.faults.add({ resource: 'services', times: 2, fault: { kind: 'reset' } });
    server.faults.add({ resource: 'nodes', times: 1, fault: { kind: 'slow', ms: 50 } });
    server.faults.add({ resource: 'endpointslices', times: 1, fault: { kind: 'hang' } });
    const one = await synced({ timing: { answerMs: 100 } });
    expect(one.sink.problems.some((problem) => problem.includes('no answer from'))).toBe(true);
    await agree(one);
  });

  it('connections that are accepted and never served', async () => {
    server.faults.hangConnections = true;
    const one = run({ timing: { connectMs: 50 } });
    await until('said', () => one.sink.problems.some((problem) => problem.includes('no connection to')));
    server.faults.clear();
    await until('synced', () => one.sink.syncs === 1);
  });

  it('403 names what is not allowed and what to allow, keeps trying, and all else goes on', async () => {
    server.access.denied.add('watch endpointslices');
    const one = run();
    await until('said', () => one.sink.problems.length > 0 && one.sink.services.size === 5);
    expect(one.sink.problems).toEqual([
      expect.stringMatching(
        /^endpointslices: cannot watch endpointslices at .*: HTTP 403: .*cannot watch resource "endpointslices".*; allow the verbs list and watch on endpointslices in API group "discovery.k8s.io"/,
      ),
    ]);
    expect(one.sink.syncs).toBe(0);
    server.access.denied.clear();
    await until('synced', () => one.sink.syncs === 1);
  });
});

describe('servers without WatchList', () => {
  it.each(['invalid', 'ignored'] as const)('%s: falls back to pages', async (watchList) => {
    for (let i = 0; i < 250; i++) server.put(service(`many-${i}`, `10.97.0.${i}`));
    server.faults.watchList = watchList;
    const one = await synced({ timing: { initialEventsMs: 100 } });
    expect(one.sink.services.size).toBe(255);
    expect(
      server.requests.filter(
        (request) => request.startsWith('GET /api/v1/services?') && request.includes('limit=100'),
      ).length,
    ).toBe(3);
    await agree(one);
    expect(one.sink.problems).toEqual([]);
  });

  it('410 within the pages: one big page', async () => {
    for (let i = 0; i < 150; i++) server.put(service(`many-${i}`, `10.97.0.${i}`));
    server.faults.watchList = 'invalid';
    server.faults.add({
      verb: 'list',
      resource: 'services',
      continued: true,
      times: 1,
      fault: { kind: 'status', code: 410 },
    });
    const one = await synced();
    expect(one.sink.services.size).toBe(155);
    await agree(one);
  });

  it('410 in the stream: a new listing, differences only', async () => {
    server.faults.watchList = 'invalid';
    const one = await synced();
    const before = one.sink.calls.length;
    server.storage.compact();
    server.faults.breakWatches('expired');
    await agree(one);
    expect(needless(one, before)).toEqual([]);
    expect(counters(one, 'services')).toMatchObject({ lists: 2, unchanged: 5 });
  });

  it('a list cut off in the middle, and 500s between pages', async () => {
    for (let i = 0; i < 150; i++) server.put(service(`many-${i}`, `10.97.0.${i}`));
    server.faults.watchList = 'invalid';
    server.faults.add({
      verb: 'list',
      resource: 'services',
      continued: true,
      times: 2,
      fault: { kind: 'status', code: 500 },
    });
    server.faults.add({
      verb: 'list',
      resource: 'services',
      continued: true,
      times: 1,
      fault: { kind: 'reset' },
    });
    const one = await synced();
    expect(one.sink.services.size).toBe(155);
  });
});

describe('the server goes away', () => {
  it('and comes back: what was told stays, then only differences are told', async () => {
    const one = await synced();
    const before = one.sink.calls.length;
    await server.stop();
    await until('said', () => one.sink.problems.length > 0);
    expect(one.sink.problems[0]).toContain('what is in force stays, trying on');
    expect(one.source.status().resources.every((status) => !status.watching)).toBe(true);
    server.storage.delete(SERVICES, 'shop', 's0');
    await server.start();
    await agree(one);
    expect(needless(one, before)).toEqual(['service- shop/s0']);
    expect(counters(one, 'services').lists).toBe(1);
  });

  it('and comes back with its history compacted', async () => {
    const one = await synced();
    const before = one.sink.calls.length;
    await server.stop();
    server.storage.delete(SERVICES, 'shop', 's0');
    server.storage.compact();
    await server.start();
    await agree(one);
    expect(needless(one, before)).toEqual(['service- shop/s0']);
  });

  it('and comes back from a backup, with resourceVersions from the beginning', async () => {
    const one = await synced();
    await server.stop();
    server.storage.delete(SERVICES, 'shop', 's0');
    server.storage.newEpoch();
    await server.start();
    await agree(one);
    expect(one.sink.services.has('shop/s0')).toBe(false);
    expect(counters(one, 'services').expired).toBeGreaterThan(0);
  });

  it('is not there at the start', async () => {
    await server.stop();
    const one = run();
    await until('said', () => one.sink.problems.length > 0);
    expect(one.sink.problems[0]).toContain('ECONNREFUSED');
    expect(one.sink.calls).toEqual([]);
    await server.start();
    await until('synced', () => one.sink.syncs === 1);
  });

  it('while it flaps, connections are not made in a hurry', async () => {
    server.faults.add({
      verb: 'watch',
      resource: 'services',
      fault: { kind: 'stream', fault: 'end', afterLines: 0 },
    });
    const one = run({ timing: { backoff: { minMs: 40, maxMs: 200 }, shortWatchMs: 1000 } });
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(counters(one, 'services').watches).toBeLessThan(9);
    server.faults.clear();
    await until('synced', () => one.sink.syncs === 1);
  });

  it('stop ends a source that waits or connects', async () => {
    server.faults.add({ fault: { kind: 'hang' } });
    const one = run({ timing: { answerMs: 60_000 } });
    await until('asked', () => server.requests.length === 4);
    await one.stop();
    await server.stop();
    const two = run({ timing: { backoff: { minMs: 60_000, maxMs: 60_000 } } });
    await until('waits', () => two.sink.problems.length === 4);
    await two.stop();
    expect(two.sink.syncs).toBe(0);
  });
});

describe('several API servers', () => {
  it('are tried in turn', async () => {
    const apiServers = ['https://127.0.0.1:1', server.url];
    const one = await synced({ apiServers });
    expect(one.source.status().server).toBe(server.url);
    await agree(one);
  });
});
