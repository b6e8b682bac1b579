/** Who receives group frames: the list in the `groups` map, and how much of it is in use. */
import type { Maps } from './maps.js';

export class GroupList {
  readonly #maps: Maps;
  /** Place → slot, or undefined for a hole. */
  readonly #places: (number | undefined)[] = [];

  constructor(maps: Maps) {
    this.#maps = maps;
  }

  /** Entries that programs have to look at: holes count, except at the end. */
  get length(): number {
    return this.#places.length;
  }

  /** Into the first hole or behind the last: no other entry moves, so no frame of others is missed or doubled. */
  add(slot: number, ifindex: number, longest: number): void {
    const hole = this.#places.indexOf(undefined);
    const place = hole === -1 ? this.#places.length : hole;
    this.#maps.setGroup(place, ifindex, slot, longest);
    this.#places[place] = slot;
  }

  /** Its longest frame is another now. Nothing happens if it is not in the list. */
  change(slot: number, ifindex: number, longest: number): void {
    const place = this.#places.indexOf(slot);
    if (place !== -1) this.#maps.setGroup(place, ifindex, slot, longest);
  }

  remove(slot: number): void {
    const place = this.#places.indexOf(slot);
    if (place === -1) return;
    this.#maps.setGroup(place, 0, 0);
    this.#places[place] = undefined;
    while (this.#places.length > 0 && this.#places.at(-1) === undefined) this.#places.pop();
  }
}
