/** What a guest is made with: from the command line to the domain's process, and on to the daemon. */
import { z } from 'zod';
import { TRANSFER_NAMES } from '../transfer/transfer.js';

/** Queues of a vif, two event channels each. */
export const GUEST_QUEUES_MAX = 16;
export const GUEST_NAME = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;

/** Sent by the guest's process as its first line on the hypervisor socket. */
export const guestRequest = z.strictObject({
  name: z.string().regex(GUEST_NAME, 'a guest name is 1 … 32 of a-z, 0-9 and -'),
  /** `02:00:5e:10:00:01`; chosen by the daemon when absent. */
  mac: z.string().max(17).optional(),
  /** `10.0.0.2/24`, `fd00::2/64`; chosen from the host's networks when absent. */
  addresses: z.array(z.string().max(64)).max(16).optional(),
  mtu: z.number().int().min(68).max(65521).optional(),
  transfer: z.enum(TRANSFER_NAMES).optional(),
  queues: z.number().int().min(1).max(GUEST_QUEUES_MAX).optional(),
  /** What it may send: so many bytes in each interval of µs. */
  rate: z
    .strictObject({ bytes: z.number().int().min(1), interval: z.number().int().min(1).max(0xffffffff) })
    .optional(),
  /** It may be sender of its own addresses only (IP, ARP, ND). */
  strictIp: z.boolean().optional(),
});
export type GuestRequest = z.infer<typeof guestRequest>;

/** The daemon's answer: with it come the descriptors (see src/guest/bootstrap.ts). */
export const guestGrant = z.object({
  domid: z.number(),
  mac: z.string(),
  addresses: z.array(z.string()),
  mtu: z.number(),
  gateway: z.array(z.string()),
  ramPages: z.number(),
  grantPages: z.number(),
});
export type GuestGrant = z.infer<typeof guestGrant>;
