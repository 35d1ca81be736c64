// Reads fields of JSON objects that nobody has checked yet; what is wrong is said with the path of the field.

/** A JSON object whose fields are unknown. */
export type Fields = Readonly<Record<string, unknown>>;

/** Shared by all objects whose list is empty: a hundred thousand endpoints without hints cost nothing. */
const EMPTY: readonly never[] = Object.freeze([]);

const NOTHING: Fields = Object.freeze({});

/** A field has a value that it cannot have. `message` is `path: what is wrong`. */
export class FieldError extends Error {
  readonly path: string;
  readonly complaint: string;

  constructor(path: string, complaint: string) {
    super(`${path}: ${complaint}`);
    this.path = path;
    this.complaint = complaint;
  }

  /** @returns the same error, seen from the object that holds this one in its field `outer`. */
  within(outer: string): FieldError {
    return new FieldError(`${outer}.${this.path}`, this.complaint);
  }
}

/** @returns the value as it is shown in messages, shortened. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Is it absent? JSON null counts as absent, as in the Kubernetes API. */
function absent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

/** @returns the value as an object. @throws FieldError when it is anything else. */
export function asFields(value: unknown, path: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new FieldError(path, `${show(value)} is not an object`);
}

/** @returns the object in the field, an empty one when it is absent. */
export function objectAt(parent: Fields, key: string): Fields {
  const value = parent[key];
  return absent(value) ? NOTHING : asFields(value, key);
}

/** @returns the string in the field, or `missing` when it is absent. */
export function stringAt(parent: Fields, key: string, missing = ''): string {
  const value = parent[key];
  if (typeof value === 'string') return value;
  if (absent(value)) return missing;
  throw new FieldError(key, `${show(value)} is not a string`);
}

/** @returns the value, or `missing` when it is absent. @param path of the field, for complaints. */
export function asBoolean(value: unknown, missing: boolean, path: string): boolean {
  if (typeof value === 'boolean') return value;
  if (absent(value)) return missing;
  throw new FieldError(path, `${show(value)} is neither true nor false`);
}

/** @returns the boolean in the field, or `missing` when it is absent. */
export function booleanAt(parent: Fields, key: string, missing: boolean): boolean {
  return asBoolean(parent[key], missing, key);
}

/** @returns the whole number in the field, or `missing` when it is absent. @throws FieldError outside low..high. */
export function numberAt(
  parent: Fields,
  key: string,
  range: { readonly low: number; readonly high: number; readonly what: string },
  missing: number,
): number {
  const value = parent[key];
  if (absent(value)) return missing;
  if (typeof value === 'number' && Number.isInteger(value) && value >= range.low && value <= range.high) {
    return value;
  }
  throw new FieldError(key, `${show(value)} is not ${range.what} (${range.low}-${range.high})`);
}

/** @returns the string in the field if it is one of `choices`, or `missing` when it is absent or empty. */
export function choiceAt<T extends string>(
  parent: Fields,
  key: string,
  choices: readonly T[],
  missing: T,
): T {
  const value = parent[key];
  if (absent(value) || value === '') return missing;
  for (const choice of choices) if (value === choice) return choice;
  throw new FieldError(key, `${show(value)} is none of ${choices.join(', ')}`);
}

/** @returns the field's list, each item converted; a complaint about an item gets the item's place in front. */
export function listAt<T>(parent: Fields, key: string, convert: (item: unknown) => T): readonly T[] {
  const list = rawListAt(parent, key);
  if (list.length === 0) return EMPTY;
  const result = new Array<T>(list.length);
  for (let i = 0; i < list.length; i++) {
    try {
      result[i] = convert(list[i]);
    } catch (error) {
      throw error instanceof FieldError ? placed(error, key, i) : error;
    }
  }
  return result;
}

/**
 * Like listAt, but an item with a complaint is left out and the complaint goes to `complain`; so does an item for which
 * `convert` returns undefined, silently.
 */
export function goodItemsAt<T>(
  parent: Fields,
  key: string,
  convert: (item: unknown) => T | undefined,
  complain: (error: FieldError) => void,
): readonly T[] {
  const list = rawListAt(parent, key);
  if (list.length === 0) return EMPTY;
  // Of the right size from the start: one that grows reserves half as much again, and 16 places more.
  const result = new Array<T>(list.length);
  let good = 0;
  for (let i = 0; i < list.length; i++) {
    try {
      const item = convert(list[i]);
      if (item !== undefined) result[good++] = item;
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      complain(placed(error, key, i));
    }
  }
  if (good === list.length) return result;
  return good === 0 ? EMPTY : result.slice(0, good);
}

/** @returns the field's list of strings. */
export function stringsAt(parent: Fields, key: string): readonly string[] {
  return listAt(parent, key, asString);
}

/** Runs `read`; a complaint of it gets `key` in front, which is where `read` looks. */
export function inside<A extends readonly unknown[], T>(key: string, read: (...args: A) => T, ...args: A): T {
  try {
    return read(...args);
  } catch (error) {
    throw error instanceof FieldError ? error.within(key) : error;
  }
}

function rawListAt(parent: Fields, key: string): readonly unknown[] {
  const value = parent[key];
  if (absent(value)) return EMPTY;
  if (Array.isArray(value)) return value;
  throw new FieldError(key, `${show(value)} is not a list`);
}

/** Items name themselves "" when they themselves are wrong, else by the field in them. */
function placed(error: FieldError, key: string, index: number): FieldError {
  const place = `${key}[${index}]`;
  return error.path === '' ? new FieldError(place, error.complaint) : error.within(place);
}

function asString(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new FieldError('', `${show(value)} is not a string`);
}
