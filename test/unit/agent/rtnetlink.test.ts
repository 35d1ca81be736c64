import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRouteMessages } from '../../../src/agent/rtnetlink.js';

const pad4 = (bytes: number[]): number[] => [...bytes, ...new Array((4 - (bytes.length % 4)) % 4).fill(0)];
const u16 = (n: number): number[] => [n & 255, n >> 8];
const u32 = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >>> 24) & 255];
const text = (s: string): number[] => [...Buffer.from(`${s}\0`)];
const attribute = (type: number, data: number[]): number[] =>
  pad4([...u16(4 + data.length), ...u16(type), ...data]);
const message = (type: number, body: number[]): number[] =>
  pad4([...u32(16 + body.length), ...u16(type), ...u16(0), ...u32(1), ...u32(0), ...body]);
const ifinfo = (family: number, hardware: number, index: number, flags: number): number[] => [
  family,
  0,
  ...u16(hardware),
  ...u32(index),
  ...u32(flags),
  ...u32(0),
];
const link = (type: number, family: number, index: number, ...attributes: number[][]): number[] =>
  message(type, [...ifinfo(family, 1, index, 1), ...attributes.flat()]);

describe('parseRouteMessages()', () => {
  test('a veth that is a bridge port', () => {
    const info = attribute(18 | 0x8000, [...attribute(1, text('veth')), ...attribute(4, text('bridge'))]);
    const bytes = link(
      16,
      0,
      9,
      attribute(3, text('veth9')),
      attribute(10, u32(4)),
      attribute(5, u32(2)),
      info,
    );
    expect(parseRouteMessages(Uint8Array.from(bytes))).toEqual([
      {
        type: 'link',
        link: {
          index: 9,
          name: 'veth9',
          kind: 'veth',
          slaveKind: 'bridge',
          master: 4,
          lower: 2,
          hardware: 1,
          up: true,
        },
      },
    ]);
  });

  test('a port that leaves its bridge (AF_BRIDGE) is not a device that goes', () => {
    expect(parseRouteMessages(Uint8Array.from(link(17, 7, 9, attribute(3, text('veth9')))))).toEqual([]);
    expect(parseRouteMessages(Uint8Array.from(link(17, 0, 9)))).toEqual([{ type: 'link-gone', index: 9 }]);
  });

  test('addresses of both families; on a point-to-point link the local one', () => {
    const v4 = message(20, [
      2,
      32,
      0,
      0,
      ...u32(5),
      ...attribute(1, [10, 0, 0, 2]),
      ...attribute(2, [10, 0, 0, 1]),
    ]);
    const v6 = message(21, [
      10,
      128,
      0,
      0,
      ...u32(5),
      ...attribute(1, [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10]),
    ]);
    expect(parseRouteMessages(Uint8Array.from([...v4, ...v6, ...message(3, u32(0))]))).toEqual([
      { type: 'address', index: 5, address: '10.0.0.1' },
      { type: 'address-gone', index: 5, address: '2001:db8:1::10' },
      { type: 'done' },
    ]);
  });

  test('no bytes whatever make it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        parseRouteMessages(bytes);
      }),
    );
  });

  test('a valid message cut anywhere neither throws nor invents a device', () => {
    const whole = link(16, 0, 9, attribute(3, text('veth9')), attribute(18, attribute(1, text('veth'))));
    for (let length = 0; length < whole.length; length++)
      expect(parseRouteMessages(Uint8Array.from(whole.slice(0, length)))).toEqual([]);
  });
});
