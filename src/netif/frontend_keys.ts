/**
 * What a front end wrote into xenstore before it went to Connected, validated: all of it is the guest's word.
 * Keys: xen/io/netif.h.
 */
import { FE_CSUM4, FE_CSUM6, FE_GSO4, FE_GSO6, FE_SG } from '../../assembly/netif_layout.js';
import { XEN_NETIF_MAX_XDP_HEADROOM } from '../abi/netif.js';
import type { XenStore } from '../xen/xenstore.js';

export interface QueueKeys {
  readonly txRef: number;
  readonly rxRef: number;
  /** One remote port, or TX then RX. */
  readonly eventPorts: readonly number[];
}

export interface FrontendKeys {
  readonly queues: readonly QueueKeys[];
  /** FE_*. */
  readonly features: number;
  /** Its control ring, if it has one. */
  readonly control: { readonly ref: number; readonly eventPort: number } | undefined;
  /** It never takes a grant back, so a page once mapped may stay mapped. */
  readonly persistent: boolean;
  readonly settings: FrontendSettings;
}

/** What a front end may change while it is connected. */
export interface FrontendSettings {
  /** It wants only the multicast groups that it lists. */
  readonly multicastControl: boolean;
  /** Octets to leave free in front of what each page receives. */
  readonly xdpHeadroom: number;
}

/** A key with a value that makes no sense: named, so that the log and the error node can say which. */
export class BadKey extends Error {
  override readonly name = 'BadKey';
  constructor(key: string, value: string | undefined, wanted: string) {
    // A guest's word ends up on terminals and in logs.
    const shown = value?.slice(0, 40).replace(/[\p{Cc}\p{Cf}]/gu, '?');
    super(`${key} ${shown === undefined ? 'is missing' : `= "${shown}"`}: ${wanted}`);
  }
}

/**
 * Reads and checks the keys under a front end's directory. Throws BadKey. `queuesMost`: as many queues as it was offered
 * (multi-queue-max-queues).
 */
export async function readFrontendKeys(
  store: XenStore,
  frontend: string,
  queuesMost = 1,
): Promise<FrontendKeys> {
  const read = (key: string) => store.tryRead(`${frontend}/${key}`);
  const flag = async (key: string) => (await optional(key, await read(key))) !== 0;

  const count = await queueCount(read, queuesMost);
  if (!(await flag('request-rx-copy'))) {
    throw new BadKey('request-rx-copy', await read('request-rx-copy'), 'must be 1, pages are not flipped');
  }
  // With one queue its keys stand in the directory itself; a multi-queue front end may use queue-0.
  const bare =
    count === 1 &&
    ((await read('tx-ring-ref')) !== undefined || (await read('queue-0/tx-ring-ref')) === undefined);
  const queues: QueueKeys[] = [];
  for (let q = 0; q < count; q++) queues.push(await queueOf(read, bare ? '' : `queue-${q}/`));
  let features = 0;
  if (await flag('feature-sg')) features |= FE_SG;
  if (await flag('feature-gso-tcpv4')) features |= FE_GSO4;
  if (await flag('feature-gso-tcpv6')) features |= FE_GSO6;
  if (!(await flag('feature-no-csum-offload'))) features |= FE_CSUM4;
  if (await flag('feature-ipv6-csum-offload')) features |= FE_CSUM6;
  // A segmentation-offloaded frame needs several slots and a blank checksum (as Linux netback reads it).
  if ((features & FE_SG) === 0 || (features & FE_CSUM4) === 0) features &= ~FE_GSO4;
  if ((features & FE_SG) === 0 || (features & FE_CSUM6) === 0) features &= ~FE_GSO6;
  await flag('request-multicast-control'); // later on nonsense is a no, but who begins with it is told
  return {
    queues,
    features,
    control: await controlOf(read),
    persistent: await flag('feature-persistent'),
    settings: await readFrontendSettings(store, frontend),
  };
}

type Read = (key: string) => Promise<string | undefined>;

/** CVE-2026-45890: a number of queues that makes no sense. */
async function queueCount(read: Read, most: number): Promise<number> {
  const key = 'multi-queue-num-queues';
  const value = await read(key);
  if (value === undefined) return 1;
  const count = /^\d{1,10}$/.test(value) ? Number(value) : 0;
  if (count >= 1 && count <= most) return count;
  throw new BadKey(key, value, most === 1 ? 'one queue is offered' : `must be 1 … ${most}`);
}

async function queueOf(read: Read, place: string): Promise<QueueKeys> {
  const number = async (key: string) => parse(`${place}${key}`, await read(`${place}${key}`));
  const shared = await read(`${place}event-channel`);
  const eventPorts =
    shared !== undefined
      ? [parse(`${place}event-channel`, shared)]
      : [await number('event-channel-tx'), await number('event-channel-rx')];
  return { txRef: await number('tx-ring-ref'), rxRef: await number('rx-ring-ref'), eventPorts };
}

/** Without a ring there is no control; a ring without an event channel is a mistake (as Linux netback reads it). */
async function controlOf(read: Read): Promise<FrontendKeys['control']> {
  const ref = await read('ctrl-ring-ref');
  if (ref === undefined) return undefined;
  const port = await read('event-channel-ctrl');
  return { ref: parse('ctrl-ring-ref', ref), eventPort: parse('event-channel-ctrl', port) };
}

/**
 * They as they stand now. A multicast key that is no number is a no (Linux: xenbus_read_unsigned). Throws BadKey for an
 * xdp-headroom that is none.
 */
export async function readFrontendSettings(store: XenStore, frontend: string): Promise<FrontendSettings> {
  const multicast = await store.tryRead(`${frontend}/request-multicast-control`);
  const multicastControl = multicast !== undefined && /^\d{1,10}$/.test(multicast) && Number(multicast) !== 0;
  const key = 'xdp-headroom';
  const headroom = await store.tryRead(`${frontend}/${key}`);
  const xdpHeadroom = optional(key, headroom);
  if (xdpHeadroom > XEN_NETIF_MAX_XDP_HEADROOM)
    throw new BadKey(key, headroom, `must be at most ${XEN_NETIF_MAX_XDP_HEADROOM}`);
  return { multicastControl, xdpHeadroom };
}

function parse(key: string, value: string | undefined): number {
  if (value === undefined || !/^\d{1,10}$/.test(value) || Number(value) > 0xffffffff) {
    throw new BadKey(key, value, 'must be a number');
  }
  return Number(value);
}

function optional(key: string, value: string | undefined): number {
  return value === undefined ? 0 : parse(key, value);
}
