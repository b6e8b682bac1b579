/**
 * What a front end wrote into xenstore before it went to Connected, validated: all of it is the guest's word.
 * Keys: xen/io/netif.h.
 */
import { FE_CSUM4, FE_CSUM6, FE_GSO4, FE_GSO6, FE_SG } from '../../assembly/netif_layout.js';
import type { XenStore } from '../xen/xenstore.js';

export interface FrontendKeys {
  readonly txRef: number;
  readonly rxRef: number;
  /** One remote port, or TX then RX. */
  readonly eventPorts: readonly number[];
  /** FE_*. */
  readonly features: number;
  /** Its control ring, if it has one. */
  readonly control: { readonly ref: number; readonly eventPort: number } | undefined;
  /** It wants only the multicast groups that it lists. */
  readonly multicastControl: boolean;
}

/** A key with a value that makes no sense: named, so that the log and the error node can say which. */
export class BadKey extends Error {
  override readonly name = 'BadKey';
  constructor(key: string, value: string | undefined, wanted: string) {
    super(`${key} ${value === undefined ? 'is missing' : `= "${value.slice(0, 40)}"`}: ${wanted}`);
  }
}

/** Reads and checks the keys under a front end's directory. Throws BadKey. */
export async function readFrontendKeys(store: XenStore, frontend: string): Promise<FrontendKeys> {
  const read = (key: string) => store.tryRead(`${frontend}/${key}`);
  const number = async (key: string) => parse(key, await read(key));
  const flag = async (key: string) => (await optional(key, await read(key))) !== 0;

  const queues = (await read('multi-queue-num-queues')) ?? '1';
  if (queues !== '1') throw new BadKey('multi-queue-num-queues', queues, 'one queue is offered');
  if (!(await flag('request-rx-copy'))) {
    throw new BadKey('request-rx-copy', await read('request-rx-copy'), 'must be 1, pages are not flipped');
  }
  // With one queue its keys stand in the directory itself; a multi-queue front end may use queue-0.
  const queue =
    (await read('tx-ring-ref')) === undefined && (await read('queue-0/tx-ring-ref')) !== undefined
      ? 'queue-0/'
      : '';
  const shared = await read(`${queue}event-channel`);
  const eventPorts =
    shared !== undefined
      ? [parse(`${queue}event-channel`, shared)]
      : [await number(`${queue}event-channel-tx`), await number(`${queue}event-channel-rx`)];
  let features = 0;
  if (await flag('feature-sg')) features |= FE_SG;
  if (await flag('feature-gso-tcpv4')) features |= FE_GSO4;
  if (await flag('feature-gso-tcpv6')) features |= FE_GSO6;
  if (!(await flag('feature-no-csum-offload'))) features |= FE_CSUM4;
  if (await flag('feature-ipv6-csum-offload')) features |= FE_CSUM6;
  // A segmentation-offloaded frame needs several slots and a blank checksum (as Linux netback reads it).
  if ((features & FE_SG) === 0 || (features & FE_CSUM4) === 0) features &= ~FE_GSO4;
  if ((features & FE_SG) === 0 || (features & FE_CSUM6) === 0) features &= ~FE_GSO6;
  return {
    txRef: await number(`${queue}tx-ring-ref`),
    rxRef: await number(`${queue}rx-ring-ref`),
    eventPorts,
    features,
    control: await controlOf(read),
    multicastControl: await flag('request-multicast-control'),
  };
}

type Read = (key: string) => Promise<string | undefined>;

/** Without a ring there is no control; a ring without an event channel is a mistake (as Linux netback reads it). */
async function controlOf(read: Read): Promise<FrontendKeys['control']> {
  const ref = await read('ctrl-ring-ref');
  if (ref === undefined) return undefined;
  const port = await read('event-channel-ctrl');
  return { ref: parse('ctrl-ring-ref', ref), eventPort: parse('event-channel-ctrl', port) };
}

/** request-multicast-control as it stands now; what is no number is a no (Linux: xenbus_read_unsigned). */
export async function readMulticastControl(store: XenStore, frontend: string): Promise<boolean> {
  const value = await store.tryRead(`${frontend}/request-multicast-control`);
  return value !== undefined && /^\d{1,10}$/.test(value) && Number(value) !== 0;
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
