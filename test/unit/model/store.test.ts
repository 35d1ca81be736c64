import { describe, expect, test } from 'vitest';
import type { Node } from '../../../src/model/node.js';
import { ModelStore, sliceId } from '../../../src/model/store.js';
import { makeEndpoint, makeService, makeSlice } from '../../helpers/model.js';

const slice = makeSlice([makeEndpoint('10.244.0.1')]);
const node: Node = {
  name: 'n',
  zone: 'a',
  addresses: [{ type: 'InternalIP', address: '192.0.2.1' }],
  podCIDRs: [],
};

function filled(): ModelStore {
  const store = new ModelStore();
  store.updateService('shop/web', makeService());
  store.updateService('shop/db', makeService({ name: 'db' }));
  store.updateSlice('shop/web-1', slice);
  store.take();
  return store;
}

describe('ModelStore', () => {
  test('hands out what was touched, once', () => {
    const store = filled();
    store.updateService('shop/web', makeService({ createdAt: 7 }));
    expect([...store.take()]).toEqual(['shop/web']);
    expect(store.take().size).toBe(0);
    expect(store.service('shop/web')!.createdAt).toBe(7);
  });

  test('a set handed out does not change any more', () => {
    const store = filled();
    store.updateService('shop/web', makeService());
    const first = store.take();
    store.updateService('shop/db', makeService({ name: 'db' }));
    expect([...first]).toEqual(['shop/web']);
  });

  test('a Service that goes is touched; one that never was is not', () => {
    const store = filled();
    store.updateService('shop/web', undefined);
    store.updateService('shop/unknown', undefined);
    expect([...store.take()]).toEqual(['shop/web']);
    expect(store.serviceCount).toBe(1);
  });

  test('a slice touches its Service, also when it goes', () => {
    const store = filled();
    store.updateSlice('shop/web-1', makeSlice([]));
    expect([...store.take()]).toEqual(['shop/web']);
    store.updateSlice('shop/web-1', undefined);
    expect([...store.take()]).toEqual(['shop/web']);
    expect(store.slices('shop/web')).toEqual([]);
    store.updateSlice('shop/web-1', undefined);
    expect(store.take().size).toBe(0);
  });

  test('a slice that moves touches both Services', () => {
    const store = filled();
    store.updateSlice('shop/web-1', { ...slice, service: 'shop/db' });
    expect([...store.take()].sort()).toEqual(['shop/db', 'shop/web']);
    expect(store.slices('shop/web')).toEqual([]);
    expect(store.slices('shop/db')).toHaveLength(1);
  });

  test('a slice may come before its Service', () => {
    const store = new ModelStore();
    store.updateSlice(sliceId(slice), slice);
    expect(store.take().size).toBe(0);
    store.updateService('shop/web', makeService());
    expect([...store.take()]).toEqual(['shop/web']);
    expect(store.slices('shop/web')).toEqual([slice]);
  });

  test('a slice outlives its Service', () => {
    const store = filled();
    store.updateService('shop/web', undefined);
    store.updateService('shop/web', makeService());
    expect(store.slices('shop/web')).toEqual([slice]);
  });

  test('a node that changed in what counts touches all; a heartbeat nothing', () => {
    const store = filled();
    expect(store.updateNode(node)).toBe(true);
    expect([...store.take()].sort()).toEqual(['shop/db', 'shop/web']);
    expect(store.updateNode({ ...node, addresses: [...node.addresses] })).toBe(false);
    expect(store.take().size).toBe(0);
    for (const changed of [
      { ...node, zone: 'b' },
      { ...node, podCIDRs: ['10.0.0.0/24'] },
      { ...node, addresses: [] },
      undefined,
    ]) {
      expect(store.updateNode(changed)).toBe(true);
      expect(store.take().size).toBe(2);
    }
  });

  test('service ranges touch no Service', () => {
    const store = filled();
    expect(store.updateServiceRanges(['10.96.0.0/16'])).toBe(true);
    expect(store.updateServiceRanges(['10.96.0.0/16'])).toBe(false);
    expect(store.serviceRanges).toEqual(['10.96.0.0/16']);
    expect(store.take().size).toBe(0);
  });

  test('holds nothing of what is gone', () => {
    const store = filled();
    for (const name of ['shop/web', 'shop/db']) store.updateService(name, undefined);
    store.updateSlice('shop/web-1', undefined);
    expect([...store.services()]).toEqual([]);
    expect([...store.take()].map((name) => [store.service(name), store.slices(name)])).toEqual([
      [undefined, []],
      [undefined, []],
    ]);
  });
});
