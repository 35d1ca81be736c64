import { expect, test } from 'vitest';
import { SlicePacker, unpackSlice } from '../../../src/model/packed-slice.js';
import { makeEndpoint, makeSlice } from '../../helpers/model.js';

test('a packed slice comes out as it went in, whatever its endpoints share', () => {
  const base = makeEndpoint('10.244.0.1');
  const endpoints = [
    base,
    { ...base, address: '10.244.0.2', pod: 'web-2' },
    { ...base, ready: false },
    { ...base, serving: false },
    { ...base, terminating: true },
    { ...base, nodeName: 'elsewhere' },
    { ...base, zoneHints: ['a'] },
    { ...base, zoneHints: ['a', 'b'] },
    { ...base, nodeHints: ['a'] },
  ];
  const slice = makeSlice(endpoints);
  const packer = new SlicePacker();
  for (let i = 0; i < 2; i++) expect(unpackSlice(packer.pack(slice))).toEqual(slice);
});

test('endpoints in the same circumstances share them, and what nobody shares is not kept for ever', () => {
  const packer = new SlicePacker();
  const pack = (hint: string, address: string) =>
    packer.pack(makeSlice([{ ...makeEndpoint(address), nodeHints: [hint] }])).circumstances[0];
  const first = pack('a', '10.244.0.1');
  expect(pack('a', '10.244.0.2')).toBe(first);
  for (let i = 0; i < 100; i++) pack(`node-${i}`, '10.244.0.3');
  expect(pack('a', '10.244.0.1')).not.toBe(first);
});
