/**
 * The thread behind PageLoad: everybody but the back end. As the NIC it writes packets on a CPU that is not the back
 * end's, so that none of their bytes are in the back end's own caches. As the guest it uses the packets that came, so
 * that its CPU's caches hold them as a guest's would: it reads every word and writes to every cache line.
 */
import { workerData } from 'node:worker_threads';
import { pinTo } from '../../sys/sched.js';
import {
  GUEST_CPU,
  GUEST_DONE,
  GUEST_LENGTH,
  GUEST_LIST,
  GUEST_N,
  GUEST_ORDER,
  GUEST_TURN,
  ORDER_FILL,
} from './page_load_layout.js';

const { memory, control } = workerData as { memory: WebAssembly.Memory; control: number };
const i32 = new Int32Array(memory.buffer);
const u32 = new Uint32Array(memory.buffer);
const at = control / 4;
const WORDS_PER_LINE = 16;

let sum = 0;
let cpu = -1;
for (let turn = 0; ; ) {
  Atomics.wait(i32, at + GUEST_TURN, turn);
  turn = Atomics.load(i32, at + GUEST_TURN);
  const n = u32[at + GUEST_N];
  if (n === 0) break;
  if (u32[at + GUEST_CPU] !== cpu) {
    cpu = u32[at + GUEST_CPU];
    pinTo([cpu]);
  }
  const words = u32[at + GUEST_LENGTH] >>> 2;
  const fill = u32[at + GUEST_ORDER] === ORDER_FILL;
  for (let k = 0; k < n; k++) {
    const page = u32[at + GUEST_LIST + k] / 4;
    if (fill) {
      u32.fill(turn, page, page + words);
      continue;
    }
    for (let word = 0; word < words; word++) sum = (sum + u32[page + word]) | 0;
    for (let word = 0; word < words; word += WORDS_PER_LINE) u32[page + word] = sum;
  }
  Atomics.store(i32, at + GUEST_DONE, turn);
  Atomics.notify(i32, at + GUEST_DONE);
}
