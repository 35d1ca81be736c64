import { describe, expect, it } from 'vitest';
import { codeOf, messageOf } from '../../../src/lib/errors.js';

describe('messageOf()', () => {
  it('tells what failed and what caused it', () => {
    expect(messageOf(new Error('cannot read ca.crt', { cause: new Error('ENOENT') }))).toBe(
      'cannot read ca.crt: ENOENT',
    );
  });

  it('tells something of errors without a message, of several at once, and of what is no error', () => {
    expect(messageOf(new AggregateError([new Error('refused ::1'), new Error('refused 127.0.0.1')]))).toBe(
      'refused ::1',
    );
    expect(messageOf(new TypeError())).toBe('TypeError');
    expect(messageOf('text')).toBe('text');
    expect(messageOf(undefined)).toBe('undefined');
  });
});

describe('codeOf()', () => {
  it('is the code of a system error, or nothing', () => {
    expect(codeOf(Object.assign(new Error('x'), { code: 'ECONNRESET' }))).toBe('ECONNRESET');
    expect(codeOf(new Error('x'))).toBe('');
    expect(codeOf(null)).toBe('');
  });
});
