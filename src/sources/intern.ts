// One copy of strings that many objects share: node names, zones, port names.

/** Beyond this many strings the pool is forgotten and begins anew, so that it cannot grow for ever. */
const POOL_LIMIT = 65_536;

export interface Interner {
  /** @returns an equal string, the same one each time. */
  string(value: string): string;
  /** @returns an equal list, the same one each time where it has at most one item. */
  list(values: readonly string[]): readonly string[];
}

/** Does nothing: for callers that convert a few objects. */
export const NO_INTERNER: Interner = { string: (value) => value, list: (values) => values };

/** @returns an interner with a pool of its own. */
export function createInterner(): Interner {
  const strings = new Map<string, string>();
  const lists = new Map<string, readonly string[]>();
  return {
    string(value) {
      const known = strings.get(value);
      if (known !== undefined) return known;
      if (strings.size >= POOL_LIMIT) strings.clear();
      strings.set(value, value);
      return value;
    },
    list(values) {
      if (values.length !== 1) return values;
      const only = values[0]!;
      const known = lists.get(only);
      if (known !== undefined) return known;
      if (lists.size >= POOL_LIMIT) lists.clear();
      lists.set(only, values);
      return values;
    },
  };
}
