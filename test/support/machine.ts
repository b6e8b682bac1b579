/** The lab's machine with guests whose ring bytes a test writes itself. */

import type { GuestOptions } from '../../src/lab/machine/guest.js';
import { Machine as LabMachine } from '../../src/lab/machine/machine.js';
import type { Vif } from '../../src/lab/machine/vif.js';
import { BareGuest } from './bare_guest.js';

export { Guest, type GuestOptions } from '../../src/lab/machine/guest.js';
export { ALL_FEATURES, macOf } from '../../src/lab/machine/machine.js';
export type { Vif } from '../../src/lab/machine/vif.js';

export class Machine extends LabMachine {
  addBareGuest(name: string, options: GuestOptions = {}): BareGuest & { readonly vif: Vif } {
    const { arena, loops } = this;
    const { domain, ram, grants, vif } = this.addBareDomain(name, options);
    const guest = new BareGuest({ arena, loops, domain, grants, ram, mac: vif.mac, netback: () => vif.port });
    return Object.assign(guest, { vif });
  }
}
