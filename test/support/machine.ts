/** The lab's machine with guests whose ring bytes a test writes itself. */

import type { GuestOptions } from '../../src/lab/machine/guest.js';
import { Machine as LabMachine } from '../../src/lab/machine/machine.js';
import type { Vif } from '../../src/lab/machine/vif.js';
import { ramPagesFor, TX_BUFFERS } from '../../src/netif/netfront_memory.js';
import { BareGuest } from './bare_guest.js';
import { ControlSide } from './control_side.js';

export { Guest, type GuestOptions } from '../../src/lab/machine/guest.js';
export { ALL_FEATURES, macOf } from '../../src/lab/machine/machine.js';
export type { Vif } from '../../src/lab/machine/vif.js';

/** A guest whose every byte a test writes. */
export type HostileGuest = BareGuest & {
  readonly vif: Vif;
  readonly control: ControlSide;
  /** Each pair of its rings; the guest itself is the first. */
  readonly queues: readonly BareGuest[];
};

export class Machine extends LabMachine {
  addBareGuest(name: string, options: GuestOptions = {}): HostileGuest {
    const { arena, loops } = this;
    const { domain, ram, grants, vif } = this.addBareDomain(name, options);
    const pages = ramPagesFor(options.txBuffers ?? TX_BUFFERS);
    const parts = { arena, loops, domain, grants, ram, mac: vif.mac, netback: () => vif.port };
    const queues = Array.from(
      { length: vif.queues },
      (_, q) => new BareGuest({ ...parts, firstPage: q * pages }),
    );
    const [guest] = queues;
    const control = new ControlSide(this, guest);
    guest.onInit = () => control.init();
    return Object.assign(guest, { vif, control, queues });
  }
}
