// Errors as people read them.

/**
 * @returns what an error says, with what caused it: `cannot read ca.crt: ENOENT: no such file`. Errors that hold several
 * (each address of a name refused) are told by the first one.
 */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError && error.message === '' && error.errors.length > 0) {
    return messageOf(error.errors[0]);
  }
  const own = error.message || error.name;
  return error.cause === undefined ? own : `${own}: ${messageOf(error.cause)}`;
}

/** @returns the code of a system error (`ECONNRESET`), "" where there is none. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : '';
}
