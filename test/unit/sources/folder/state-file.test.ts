import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createFolderSource } from '../../../../src/sources/folder/folder.js';
import { createFolder, documents, load, RecordingSink, service } from './harness.js';

describe('the state file', () => {
  const dual = 'type: NodePort, ipFamilyPolicy: PreferDualStack';

  it('keeps allocations and ages over restarts, whatever is added', async () => {
    const folder = createFolder({ 'b.yaml': service('b', dual) });
    const first = (await load(folder, { now: () => 1 })).services.get('shop/b')!;
    folder.write('a.yaml', service('a', `${dual}, clusterIP: ${first.clusterIP}`));
    const sink = await load(folder, { now: () => 2 });
    expect(sink.services.get('shop/b')).toEqual(first);
    expect(sink.services.get('shop/a')!.createdAt).toBe(2);
    expect(sink.complaints[0]).toMatch(
      /^a.yaml:1:1: Service shop\/a: cluster IP .* belongs to Service shop\/b/,
    );
  });

  it('is written before anybody hears of an allocation', async () => {
    const folder = createFolder({ 'a.yaml': service('a', dual) });
    const sink = new RecordingSink();
    let state: { services: Record<string, { clusterIPs: unknown }> } | undefined;
    // The process ends at the first Service that is told.
    sink.onCall = () => {
      if (sink.services.size === 0) return;
      state = JSON.parse(readFileSync(folder.stateFile, 'utf8'));
      throw new Error('killed');
    };
    const source = createFolderSource({ directory: folder.path, nodeName: 'n', stateFile: folder.stateFile });
    await expect(source.run(sink, new AbortController().signal)).rejects.toThrow('killed');
    expect(state?.services['shop/a']?.clusterIPs).toEqual(sink.services.get('shop/a')!.clusterIPs);
    expect((await load(folder)).services.get('shop/a')).toEqual(sink.services.get('shop/a'));
  });

  it('a crash while it is written leaves the old one', async () => {
    const folder = createFolder({ 'a.yaml': service('a') });
    const before = (await load(folder)).services.get('shop/a');
    writeFileSync(`${folder.stateFile}.tmp`, '{"version": 1, "serv');
    expect((await load(folder)).services.get('shop/a')).toEqual(before);
  });

  it('frees what removed Services had, not while their file is merely broken', async () => {
    const held = async () => Object.keys(JSON.parse(readFileSync(folder.stateFile, 'utf8')).services);
    const folder = createFolder({ 'a.yaml': documents(service('a'), service('a2')), 'b.yaml': service('b') });
    const before = (await load(folder)).services;
    folder.write('a.yaml', 'kind: [\n');
    rmSync(join(folder.path, 'b.yaml'));
    await load(folder);
    expect(await held()).toEqual(['shop/a', 'shop/a2']);
    folder.write('a.yaml', documents(service('a'), service('a2')));
    expect((await load(folder)).services.get('shop/a2')).toEqual(before.get('shop/a2'));
    rmSync(join(folder.path, 'a.yaml'));
    await load(folder);
    expect(await held()).toEqual([]);
  });

  it('damaged: says so, moves it aside, takes over what is whole, works out the rest', async () => {
    const folder = createFolder({ 'a.yaml': service('a', dual), 'b.yaml': service('b', dual) });
    const before = (await load(folder, { now: () => 7 })).services;
    const text = readFileSync(folder.stateFile, 'utf8').replaceAll(
      before.get('shop/a')!.clusterIP,
      '10.96.77.77',
    );
    const end = text.indexOf('"shop/b"') + 30;
    writeFileSync(folder.stateFile, text.slice(0, end));
    const sink = await load(folder, { now: () => 7 });
    expect(sink.complaints).toEqual([
      `${folder.stateFile}: is damaged; 1 Service of it could be taken over, other cluster IPs and node ports are worked out anew (the old file is now ${folder.stateFile}.damaged)`,
    ]);
    expect(readFileSync(`${folder.stateFile}.damaged`, 'utf8')).toBe(text.slice(0, end));
    expect(sink.services.get('shop/a')!.clusterIP).toBe('10.96.77.77');
    expect(sink.services.get('shop/b')).toEqual(before.get('shop/b'));
    expect((await load(folder)).problems).toEqual([]);
  });

  it.each(['', 'null', '[]', '{"version": 2, "services": {}, "kept": {}}', '\0\0\0'])(
    '%j is damaged, too',
    async (text) => {
      const folder = createFolder({ 'a.yaml': service('a') });
      const before = (await load(folder, { now: () => 7 })).services;
      writeFileSync(folder.stateFile, text);
      const sink = await load(folder, { now: () => 7 });
      expect(sink.complaints[0]).toMatch(/is damaged; nothing of it could be taken over/);
      expect(sink.services).toEqual(before);
    },
  );

  it('that cannot be written is named, and everything goes on', async () => {
    const folder = createFolder({ 'a.yaml': service('a') });
    mkdirSync(folder.stateFile);
    const sink = await load(folder);
    expect(sink.services.size).toBe(1);
    expect(sink.complaints[0]).toMatch(/state.json: cannot be read \(EISDIR/);
    expect(sink.complaints[1]).toMatch(/state.json: cannot be written \(.*after a restart cluster IPs/);
  });
});
