/** One line of a record: a feature of an interface that is off, and belongs on. */
import { SetupError } from '../sys/errors.js';
import type { LinkDetails } from '../sys/link_details.js';

export interface Entry {
  /** `netnsName` of where it was. */
  readonly netns: string;
  readonly ifindex: number;
  /** `LinkDetails.permanent` and `parent`. */
  readonly permanent: string;
  readonly parent: string;
  readonly feature: string;
}

export function entryOf(link: LinkDetails, netns: string, feature: string): Entry {
  const { index, permanent, parent } = link;
  return { netns, ifindex: index, permanent, parent, feature };
}

/** Whether `link`, of the namespace `netns`, is the one of which the entry tells. */
export function isOf(entry: Entry, link: LinkDetails, netns: string): boolean {
  if (entry.permanent !== link.permanent || entry.parent !== link.parent) return false;
  if (entry.netns === netns) return entry.ifindex === link.index;
  // Moved here, since this machine was started: its hardware says so.
  return link.permanent !== '' && bootOf(entry.netns) === bootOf(netns);
}

function bootOf(netns: string): string {
  return netns.split(' ', 1)[0];
}

/** Without its end; the same for the same entry. */
export function lineOf({ netns, ifindex, permanent, parent, feature }: Entry): string {
  return JSON.stringify({ netns, ifindex, permanent, parent, feature });
}

/**
 * The entries that a record's lines come to. What follows the last end of line was torn. Throws SetupError: a line is
 * none, or names a feature that is not among `features`.
 */
export function parseEntries(text: string, features: readonly string[]): Entry[] {
  const entries = new Map<string, Entry>();
  for (const [i, line] of text.split('\n').slice(0, -1).entries()) {
    const entry = parseEntry(line.slice(1));
    if (!entry || !features.includes(entry.feature)) throw new SetupError(`line ${i + 1} is no record`);
    if (line[0] === '+') entries.set(lineOf(entry), entry);
    else if (line[0] === '-') entries.delete(lineOf(entry));
    else throw new SetupError(`line ${i + 1} is no record`);
  }
  return [...entries.values()];
}

function parseEntry(text: string): Entry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { netns, ifindex, permanent, parent, feature } = value as Record<string, unknown>;
  const texts = [netns, permanent, parent, feature];
  if (!texts.every((one) => typeof one === 'string') || !Number.isSafeInteger(ifindex)) return undefined;
  return { netns, ifindex, permanent, parent, feature } as Entry;
}
