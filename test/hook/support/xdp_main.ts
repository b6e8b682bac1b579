/**
 * An XDP program in native mode on an interface: counts frames and lets them in. On SIGTERM it says how many, and ends.
 * Argument: interface.
 */
import { BPF_MAP_TYPE_ARRAY } from '../../../src/abi/bpf.js';
import { Assembler } from '../../../src/hook/assembler.js';
import { loadClassifier, mapCreate, mapLookup, tcxLinkCreate } from '../../../src/sys/bpf.js';
import { linkIndex } from '../../../src/sys/netlink.js';

// linux/bpf.h, linux/if_link.h.
const BPF_PROG_TYPE_XDP = 6;
const BPF_XDP = 37;
const XDP_PASS = 2;
const XDP_FLAGS_DRV_MODE = 4;

const ifindex = linkIndex(process.argv[2]);
if (ifindex === undefined) throw new Error(`no ${process.argv[2]}`);
const count = mapCreate({ name: 'count', type: BPF_MAP_TYPE_ARRAY, keySize: 4, valueSize: 8, maxEntries: 1 });
const a = new Assembler('xdp');
a.loadMapValue('r1', 'count');
a.mov('r2', 1);
a.atomic('add', 'u64', 'r1', 0, 'r2');
a.mov('r0', XDP_PASS);
a.exit();
const program = loadClassifier('xdp', a.assemble().link({ count }), BPF_PROG_TYPE_XDP);
tcxLinkCreate({ program, ifindex, attachType: BPF_XDP, flags: XDP_FLAGS_DRV_MODE }, process.argv[2]);
console.log('attached');
process.once('SIGTERM', () => {
  const value = new Uint8Array(8);
  mapLookup(count, new Uint8Array(4), value);
  console.log(`seen ${new DataView(value.buffer).getUint32(0, true)}`);
  process.exit(0);
});
setInterval(() => {}, 1000);
