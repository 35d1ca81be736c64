// The objects of one resource as events and listings tell them: each change goes to the handler once.

import { messageOf } from '../../lib/errors.js';
import { serviceName } from '../../model/service.js';
import { asFields, type Fields, objectAt, stringAt } from '../fields.js';
import { KnownObjects } from './known-objects.js';
import type { Resource, ResourceCounters } from './resource.js';

export class Mirror {
  readonly #known = new KnownObjects();
  readonly #resource: Resource;
  readonly #counters: ResourceCounters;
  readonly #complain: (message: string) => void;

  constructor(resource: Resource, counters: ResourceCounters, complain: (message: string) => void) {
    this.#resource = resource;
    this.#counters = counters;
    this.#complain = complain;
  }

  get size(): number {
    return this.#known.size;
  }

  /** A listing begins. */
  begin(): void {
    this.#counters.lists++;
    this.#known.begin();
  }

  /** An object exists as it is here. */
  put(object: unknown): void {
    this.#counters.events++;
    this.#guard(() => {
      const fields = asFields(object, this.#resource.name);
      const key = keyOf(fields);
      const sighting = this.#known.see(key, resourceVersionOf(fields));
      if (sighting === 'same') this.#counters.unchanged++;
      else this.#resource.handler.set(key, fields);
    });
  }

  /** An object has been deleted, or no longer matches our selectors. */
  drop(object: unknown): void {
    this.#counters.events++;
    this.#guard(() => {
      const key = keyOf(asFields(object, this.#resource.name));
      if (this.#known.forget(key)) this.#resource.handler.remove(key);
    });
  }

  /** The listing is complete: what it did not show is gone. */
  complete(): void {
    for (const key of this.#known.sweep()) this.#guard(() => this.#resource.handler.remove(key));
    this.#guard(() => this.#resource.handler.synced());
  }

  /** One bad object, or a handler that throws, must not end the stream that all others come by. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#counters.errors++;
      this.#complain(messageOf(error));
    }
  }
}

/** @returns metadata.resourceVersion; "" where there is none. */
export function resourceVersionOf(object: Fields): string {
  return stringAt(objectAt(object, 'metadata'), 'resourceVersion');
}

function keyOf(object: Fields): string {
  const metadata = objectAt(object, 'metadata');
  const name = stringAt(metadata, 'name');
  if (name === '') throw new Error('the server sent an object without metadata.name; it is left out');
  const namespace = stringAt(metadata, 'namespace');
  return namespace === '' ? name : serviceName({ namespace, name });
}
