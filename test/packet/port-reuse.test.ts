// A client's port, used for a Service, then for a connection to one of its backends that no Service has part in: the
// replies of both have the same tuple.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Dataplane } from './dataplane.js';
import { decode } from './decode.js';
import { encode } from './encode.js';
import { type Packet, reply, sourceOf, tcp } from './packet.js';
import { flowAt, publish } from './services.js';

const BACKEND = '10.244.2.1:8080';
const VIP = '10.96.0.1:80';

let plane: Dataplane;
beforeAll(async () => {
  plane = await Dataplane.load();
  publish(plane, { at: VIP, cluster: [BACKEND] });
});
afterAll(() => plane.close());

let clients = 0;
const newClient = () => `10.244.1.1:${20000 + clients++}`;
const send = (packet: Packet): Packet => decode(plane.run('pl_ingress_eth', encode(packet)).bytes);
const answer = (packet: Packet, flags: string): Packet =>
  decode(plane.run('pl_egress_eth', encode(reply(packet, flags))).bytes);

/** A connection to the Service until it is open. @returns a packet of the client as the backend gets it */
function open(client: string): Packet {
  const opened = send(tcp(client, VIP, 'S'));
  expect(sourceOf(answer(opened, 'SA'))).toBe(VIP);
  send(tcp(client, VIP, 'A'));
  return opened;
}

/** The client goes on past the Service. @returns from where it gets the answer to its SYN, and to what follows */
function connectDirectly(client: string): string[] {
  const packet = tcp(client, BACKEND, 'S');
  expect(plane.run('pl_ingress_eth', encode(packet)).bytes).toEqual(encode(packet));
  return ['SA', 'A', 'FA'].map((flags) => sourceOf(answer(packet, flags)));
}

describe('a port that was used for a Service', () => {
  test('is free for the backend once the connection has been closed', () => {
    const client = newClient();
    const opened = open(client);
    send(tcp(client, VIP, 'FA'));
    expect(sourceOf(answer(opened, 'FA'))).toBe(VIP);
    expect(sourceOf(answer(opened, 'A'))).toBe(VIP);
    expect(connectDirectly(client)).toEqual([BACKEND, BACKEND, BACKEND]);
    expect(flowAt(plane, 'flows', 'tcp', client, VIP)).toBeUndefined();
    // And for the Service again.
    expect(sourceOf(answer(open(client), 'A'))).toBe(VIP);
  });

  test('is free for the backend once the client has reset the connection', () => {
    const client = newClient();
    open(client);
    send(tcp(client, VIP, 'R'));
    expect(connectDirectly(client)).toEqual([BACKEND, BACKEND, BACKEND]);
  });

  test('is free for the backend once the backend has refused the connection', () => {
    const client = newClient();
    const opened = send(tcp(client, VIP, 'S'));
    expect(sourceOf(answer(opened, 'RA'))).toBe(VIP);
    expect(connectDirectly(client)).toEqual([BACKEND, BACKEND, BACKEND]);
  });

  test('stays with the Service while the connection is open, also for a repeated SYN-ACK', () => {
    const client = newClient();
    const opened = open(client);
    expect(sourceOf(answer(opened, 'SA'))).toBe(VIP);
    // What the client sent last may have been lost: the backend does not know yet that it is over.
    send(tcp(client, VIP, 'FA'));
    expect(sourceOf(answer(opened, 'SA'))).toBe(VIP);
  });
});
