import { expect, it } from 'vitest';
import { updateFiles } from '../../../../src/sources/folder/files.js';
import { scanDirectory } from '../../../../src/sources/folder/scan.js';
import { createFolder, service } from './harness.js';

it('updateFiles() reads a file again when it was read within the tick of its last change', () => {
  const folder = createFolder({ 'a.yaml': service('one') });
  const scan = scanDirectory(folder.path, undefined)!;
  const { changedAt } = scan.files[0]!;
  const names = (table: ReturnType<typeof updateFiles>) =>
    table.files.get('a.yaml')!.objects.map(({ key }) => key);
  const first = updateFiles(new Map(), scan, new Map(), changedAt + 5);
  expect(first.again).toBeGreaterThan(0);
  // The same length in the same tick: on kernels without fine-grained times (before 6.13) nothing tells the two apart.
  folder.write('a.yaml', service('two'));
  const second = updateFiles(first.files, scan, new Map(), changedAt + 60);
  expect(names(second)).toEqual(['Service shop/two']);
});

it('updateFiles() reads nothing again that has not changed, and reports no change', () => {
  const folder = createFolder({ 'a.yaml': service('one') });
  const scan = scanDirectory(folder.path, undefined)!;
  const now = scan.files[0]!.changedAt + 1_000;
  const first = updateFiles(new Map(), scan, new Map(), now);
  const second = updateFiles(first.files, scan, new Map(), now);
  expect(second).toMatchObject({ changed: false, again: undefined });
  expect(second.files.get('a.yaml')).toBe(first.files.get('a.yaml'));
});

it('updateFiles() keeps what is in a directory that cannot be listed', () => {
  const folder = createFolder({ 'sub/a.yaml': service('a'), 'b.yaml': service('b') });
  const scan = scanDirectory(folder.path, undefined)!;
  const first = updateFiles(new Map(), scan, new Map(), Date.now());
  const hidden = {
    ...scan,
    files: scan.files.filter(({ name }) => name === 'b.yaml'),
    problems: [{ name: 'sub/', message: 'EACCES: permission denied' }],
  };
  const second = updateFiles(first.files, hidden, new Map(), Date.now());
  expect(second.files.get('sub/a.yaml')).toMatchObject({
    broken: true,
    objects: first.files.get('sub/a.yaml')!.objects,
  });
});
