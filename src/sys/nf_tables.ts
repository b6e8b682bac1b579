/** What netfilter has on the way out of an interface: nf_tables' chains of family netdev, hook egress (Linux ≥ 5.16). */
import { constants } from 'node:os';
import { NETLINK_NETFILTER } from '../abi/netlink.js';
import * as nf from '../abi/nf_tables.js';
import { SysError } from './errors.js';
import { attributesIn, decodeAttributes, textOf } from './netlink_codec.js';
import { dump } from './netlink_socket.js';

const { EINVAL, ENOENT, EOPNOTSUPP, EPROTONOSUPPORT } = constants.errno;
/** A kernel without nf_tables. */
const ABSENT = [EINVAL, ENOENT, EOPNOTSUPP, EPROTONOSUPPORT];

/** Whether a chain sees what the interface of that name sends. Throws SysError when that cannot be told. */
export function hasEgressChain(device: string): boolean {
  const header = new Uint8Array(nf.NFGENMSG_SIZE);
  header[0] = nf.NFPROTO_NETDEV;
  const type = (nf.NFNL_SUBSYS_NFTABLES << 8) | nf.NFT_MSG_GETCHAIN;
  try {
    const chains = dump('NFT_MSG_GETCHAIN', type, header, [], NETLINK_NETFILTER);
    return chains.some(({ payload }) => seesEgress(payload.subarray(nf.NFGENMSG_SIZE), device));
  } catch (error) {
    if (error instanceof SysError && ABSENT.includes(error.errno)) return false;
    throw error;
  }
}

function seesEgress(chain: Uint8Array, device: string): boolean {
  const none = new Uint8Array();
  const hook = decodeAttributes(decodeAttributes(chain).get(nf.NFTA_CHAIN_HOOK) ?? none);
  const number = hook.get(nf.NFTA_HOOK_HOOKNUM);
  if (number?.[3] !== nf.NF_NETDEV_EGRESS) return false; // big-endian
  const one = hook.get(nf.NFTA_HOOK_DEV);
  if (one && textOf(one) === device) return true;
  for (const { prefix, name } of devices(hook.get(nf.NFTA_HOOK_DEVS) ?? none)) {
    if (prefix ? device.startsWith(name) : device === name) return true;
  }
  return false;
}

function* devices(list: Uint8Array): Generator<{ prefix: boolean; name: string }> {
  for (const [type, value] of attributesIn(list)) {
    if (type !== nf.NFTA_DEVICE_NAME && type !== nf.NFTA_DEVICE_PREFIX) continue;
    // Linux 6.16 said it by a name without its NUL.
    yield { prefix: type === nf.NFTA_DEVICE_PREFIX || !value.includes(0), name: textOf(value) };
  }
}
