/**
 * A stranger's program on one side of an interface: counts frames and leaves them to the next. Its process
 * answers each line with the count so far. Arguments: interface, `tcx` or `clsact`, and
 * `ingress` or `egress`.
 */
import { createInterface } from 'node:readline';
import { BPF_F_AFTER, BPF_MAP_TYPE_ARRAY, BPF_TCX_EGRESS, BPF_TCX_INGRESS } from '../../../src/abi/bpf.js';
import { TC_ACT_UNSPEC } from '../../../src/abi/bpf_skb.js';
import { Assembler } from '../../../src/hook/assembler.js';
import { loadProgram } from '../../../src/hook/loader.js';
import { mapCreate, mapLookup, programInfo, tcxLinkCreate } from '../../../src/sys/bpf.js';
import { linkIndex } from '../../../src/sys/netlink.js';
import { clsactAdd, filterAdd, type Side } from '../../../src/sys/traffic_control.js';

const [, , name, mode, side] = process.argv as [string, string, string, string, Side];
const ifindex = linkIndex(name);
if (ifindex === undefined) throw new Error(`no ${name}`);

const count = mapCreate({ name: 'count', type: BPF_MAP_TYPE_ARRAY, keySize: 4, valueSize: 8, maxEntries: 1 });
const a = new Assembler('foreign');
a.loadMapValue('r1', 'count');
a.mov('r2', 1);
a.atomic('add', 'u64', 'r1', 0, 'r2');
a.mov('r0', TC_ACT_UNSPEC);
a.exit();
const program = loadProgram(a.assemble(), { count });
if (mode === 'tcx') {
  const attachType = side === 'ingress' ? BPF_TCX_INGRESS : BPF_TCX_EGRESS;
  tcxLinkCreate({ program, ifindex, attachType, flags: BPF_F_AFTER }, name);
} else {
  clsactAdd(ifindex, name);
  filterAdd(ifindex, { side, priority: 100, handle: 7, name: 'foreign', fd: program }, name);
}
console.log(`id ${programInfo(program).id}`);

createInterface({ input: process.stdin })
  .on('line', () => {
    const value = new Uint8Array(8);
    mapLookup(count, new Uint8Array(4), value);
    console.log(`count ${new DataView(value.buffer).getUint32(0, true)}`);
  })
  .on('close', () => process.exit(0));
