/**
 * A vif's carrier as people see it: whether frames get through. netback's own word for that is the carrier of vifX.Y, which
 * is off while the front end is not connected and while it takes none of its frames; here an admin can pull the cable, too.
 */
import type { NetbackDriver } from '../netif/backend.js';
import type { VifView } from '../netif/vif_connector.js';
import { UnknownPort } from './kernel_port.js';
import type { Vifs } from './vifs.js';

const STALLED = 'it takes none of its frames: its receive ring is full';

export interface Carrier {
  readonly carrier: boolean;
  readonly reason: string | null;
}

/** `view`: undefined before the back end has met it. */
export function carrierOf(view: VifView | undefined, vifs: Vifs | undefined): Carrier {
  if (!view) return { carrier: false, reason: null };
  const { domid, handle, carrier, reason } = view;
  if (!carrier || !vifs?.stalled(domid, handle)) return { carrier, reason };
  return { carrier: false, reason: STALLED };
}

/** Pulls the cable of the vif that people call `name`, or puts it in again. Rejects with UnknownPort. */
export async function setLink(netback: NetbackDriver | undefined, name: string, up: boolean): Promise<void> {
  const vif = netback?.vifs.find((view) => view.name === name);
  const found = vif !== undefined && (await netback?.setLink(vif.domid, vif.handle, up));
  if (!found) throw new UnknownPort(`no guest’s vif is called ${name}`, 'netferry vif list has their names');
}
