/** What a toolstack writes into xenstore for a domain with one vif, so that both ends find each other. */
import type { XenStore } from '../xen/xenstore.js';

export interface VifNodes {
  /** The domain's. */
  readonly name: string;
  readonly domid: number;
  readonly mac: string;
  readonly mtu: number;
  /** What it may send: so many bytes in each interval of µs. */
  readonly rate?: { readonly bytes: number; readonly interval: number } | undefined;
  /** What it may be sender of, `10.0.0.2` or `10.0.0.2/24`; none: not checked. */
  readonly addresses?: readonly string[];
}

/** As libxl does: both ends in Initialising, the guest owning its own (libxl_nic.c). All of it or nothing. */
export async function writeVifNodes(store: XenStore, vif: VifNodes): Promise<void> {
  const { domid } = vif;
  const home = `/local/domain/${domid}`;
  const frontend = `${home}/device/vif/0`;
  const backend = `/local/domain/0/backend/vif/${domid}/0`;
  await store.transaction(async (tx) => {
    await store.write(`${home}/name`, vif.name, tx);
    await store.write(`${home}/domid`, String(domid), tx);
    await store.setPermissions(
      home,
      [
        { domid: 0, access: 'n' },
        { domid, access: 'r' },
      ],
      tx,
    );
    const frontendNodes = {
      backend,
      'backend-id': '0',
      state: '1',
      handle: '0',
      mac: vif.mac,
      mtu: String(vif.mtu),
      trusted: '1',
    };
    for (const [key, value] of Object.entries(frontendNodes))
      await store.write(`${frontend}/${key}`, value, tx);
    for (const key of ['', ...Object.keys(frontendNodes).map((k) => `/${k}`)]) {
      await store.setPermissions(
        `${frontend}${key}`,
        [
          { domid, access: 'n' },
          { domid: 0, access: 'r' },
        ],
        tx,
      );
    }
    const backendNodes = {
      frontend,
      'frontend-id': String(domid),
      online: '1',
      handle: '0',
      mac: vif.mac,
      mtu: String(vif.mtu),
      ...(vif.rate && { rate: `${vif.rate.bytes},${vif.rate.interval}` }),
      ...(vif.addresses?.length && { ip: vif.addresses.map((cidr) => cidr.replace(/\/.*/, '')).join(' ') }),
      type: 'vif',
      'hotplug-status': '',
      state: '1',
    };
    for (const [key, value] of Object.entries(backendNodes))
      await store.write(`${backend}/${key}`, value, tx);
    for (const key of ['', ...Object.keys(backendNodes).map((k) => `/${k}`)]) {
      await store.setPermissions(
        `${backend}${key}`,
        [
          { domid: 0, access: 'n' },
          { domid, access: 'r' },
        ],
        tx,
      );
    }
  });
}
