/**
 * Which part of the system a sample belongs to, as the talk's profile tables have it (netback, bridge, net/core …).
 * A table, and pure functions over call chains: the first frame from the leaf on that the table knows decides, so that
 * a lock or a memcpy counts for whoever called it.
 */
import type { Frame, Stack } from './stacks.js';

/** In the order of tables: ours first, then the kernel's. */
export const COMPONENTS = [
  'direct lane',
  'pull',
  'classify',
  'push',
  'release',
  'publish',
  'copy of frames',
  'grants, mapping table',
  'offloads in software',
  'engine and ports, JS',
  'FFI',
  'Node and V8',
  'kernel: copy',
  'kernel: tap',
  'kernel: bridge',
  'kernel: netfilter',
  'kernel: veth',
  'kernel: net/core',
  'kernel: end point’s TCP/IP',
  'kernel: io_uring',
  'kernel: eventfd, epoll',
  'kernel: process_vm_readv',
  'kernel: sched',
  'kernel: memory',
  'kernel: entry, interrupts',
  'kernel: other',
  'other',
] as const;
export type Component = (typeof COMPONENTS)[number];

const END_POINTS: Component = 'kernel: end point’s TCP/IP';

type Rule = readonly [pattern: RegExp, component: Component];

/** The hot loops by V8's name for them (`JS:assembly/FILE/FUNCTION-INDEX-turbofan`), then JavaScript by file. */
const OURS: readonly Rule[] = [
  [/^JS:\S?assembly\/memory\//, 'copy of frames'],
  [/^JS:\S?assembly\/lane\//, 'direct lane'],
  [/^JS:\S?assembly\/\w+\/\w*(Publish|pushRe(sponses|quests))/, 'publish'],
  [/^JS:\S?assembly\/netback_done\/(netbackRelease|settleAll)|^JS:\S?assembly\/tap\/tapRelease/, 'release'],
  [/^JS:\S?assembly\/netback_done\/netbackBounc/, 'push'],
  [/^JS:\S?assembly\/(netback_tx|netback_done|frame|ring)\//, 'pull'],
  [/^JS:\S?assembly\/(netback_rx|netback_room)\//, 'push'],
  [/^JS:\S?assembly\/tap\/tapWrit|^JS:\S?assembly\/tap\/tapPrepareWrite/, 'push'],
  [/^JS:\S?assembly\/(tap|uring|stack)\//, 'pull'],
  [/^JS:\S?assembly\/forward\//, 'classify'],
  [/^JS:\S?assembly\/(cache|domains|move|segment_list)\//, 'grants, mapping table'],
  [/^JS:\S?assembly\/(offload|headers|checksum|segment)\//, 'offloads in software'],
  [/^JS:\S?assembly\//, 'pull'],
  [/^JS:.*(js-to-wasm|wasm-to-js)/, 'FFI'],
  [/^JS:.*\/src\/sys\//, 'FFI'],
  [/^JS:.*\/src\/\w+\//, 'engine and ports, JS'],
  [/^(JS|Builtin|BytecodeHandler|RegExp|LazyCompile|Function|Script|Stub):/, 'Node and V8'],
];

const KERNEL: readonly Rule[] = [
  [
    /^(_?copy_(to|from)_(user|iter)|_?_?copy_(user|page|mc)|rep_(movs|stos)|raw_copy_|copyin|copyout|skb_copy_|__skb_datagram_iter|simple_copy_to_iter|csum_partial|csum_and_copy)/,
    'kernel: copy',
  ],
  [/^(tun_|tap_|__tun_|ptr_ring)/, 'kernel: tap'],
  [/^(br_nf_|nf_|__nf_|nft_|ipt_|ip6t_|xt_|iptable|ip_conntrack|nfqnl)/, 'kernel: netfilter'],
  [/^(br_|__br_|fdb_|nbp_)/, 'kernel: bridge'],
  [/^(veth_|__veth_)/, 'kernel: veth'],
  [
    /^(tcp|__tcp|ip_|__ip_|ip4_|ip6_|ipv4_|ipv6_|ip_?rcv|inet|__inet|udp|__udp|bictcp|cubictcp|bbr_|sk_stream|rt_|fib_|ipv4)/,
    'kernel: end point’s TCP/IP',
  ],
  [/^(io_|__io_|__do_sys_io_uring|__x64_sys_io_uring|tctx_|req_)/, 'kernel: io_uring'],
  [/^(eventfd_|ep_|do_epoll|__x64_sys_epoll|epoll|__ep_)/, 'kernel: eventfd, epoll'],
  [/^(process_vm_|__x64_sys_process_vm)/, 'kernel: process_vm_readv'],
  [
    /^(skb|__skb|___skb|netif_|__netif|__dev_|dev_|napi_|__napi|process_backlog|net_rx_|net_tx_|enqueue_to_backlog|alloc_skb|__alloc_skb|kfree_skb|__kfree_skb|consume_skb|eth_|validate_xmit|sch_|qdisc|__qdisc|pfifo|fq_codel|sock_|__sock|sk_|generic_xdp|gro_|gso_|inet_gso|netdev_|xmit_|tcx_|bpf_(?!lsm)|neigh|rps_|flow_|__flow|__local_bh|local_bh|kfree_skbmem|page_pool|zerocopy)/,
    'kernel: net/core',
  ],
  [
    /^(schedule|__schedule|preempt_|try_to_wake|wake_up|__wake_up|ttwu|select_task|enqueue_task|dequeue_task|enqueue_entity|dequeue_entit|pick_|__pick|update_(curr|load|rq|cfs|se|entity)|put_prev|set_next|finish_task_switch|__switch_to|context_switch|sched_|activate_task|wakeup_|check_preempt|resched|default_wake|autoremove_wake|futex|__futex|do_futex|rcu_note|yield_|task_tick|scheduler_tick|cpuacct|psi_|nohz|tick_|hrtimer|hrtick|do_idle|cpuidle|native_(safe_)?halt|pv_native|acpi|poll_idle|place_entity|reweight|avg_vruntime|__update_load|vruntime|raw_spin_rq|switch_mm|_?raw_spin_rq)/,
    'kernel: sched',
  ],
  [
    /^(alloc_pages|__alloc_pages|__alloc_frozen|alloc_frozen|__folio|folio_|get_page|free_(unref|frozen|pages|page|large)|__free_|kmem_|__kmem|kmalloc|__kmalloc|kfree|kvmalloc|___slab|__slab|slab_|refill|page_frag|handle_mm_fault|__handle_mm|do_anonymous|do_fault|do_user_addr|do_wp|filemap_|shmem_|pin_user|__get_user_pages|gup_|get_user_pages|internal_get_user|follow_page|unpin_user|unmap_|do_mmap|mmap_|__mmap|vm_|vma_|mas_|mt_|memcg|__memcg|mem_cgroup|try_charge|obj_cgroup|rmqueue|__rmqueue|clear_page|put_page|release_pages|lru_|page_|tlb_|flush_tlb|zap_|mod_(node|zone|memcg)|put_cpu_partial|get_partial|vmalloc|put_unpinned|is_valid_gup|sanity_check_pinned|try_grab)/,
    'kernel: memory',
  ],
  [
    /^(entry_|do_syscall|syscall_|__x64_sys|__do_sys|x64_sys|asm_|irqentry|exc_|sysvec|error_entry|common_interrupt|irq_|__irq|do_softirq|__do_softirq|handle_softirqs|ret_from_fork|exit_to_user|fpregs|restore_fpregs|sync_regs|native_irq|vfs_|ksys_|do_(readv|writev|iter)|fget|__fget|fdget|fput|import_|security_|bpf_lsm|apparmor_|ktime_get|fsnotify|rw_verify)/,
    'kernel: entry, interrupts',
  ],
];

/** User code: by name, then by the file it is in; the C library and the vdso count for whoever called them. */
function userComponent(frames: readonly Frame[]): Component {
  for (const { symbol, object } of frames) {
    for (const [pattern, component] of OURS) if (pattern.test(symbol)) return component;
    if (/memmove|memcpy|memory_copy/.test(symbol)) return 'copy of frames';
    if (/koffi/.test(object)) return 'FFI';
    if (/\/(node|nodejs)$|libnode/.test(object) || /perf-\d+\.map$/.test(object)) return 'Node and V8';
  }
  return 'other';
}

/** `[kernel.kallsyms]`, and modules by their name: `[veth]`. */
const KERNEL_OBJECT = /^\[(?!vdso|vsyscall|unknown|heap|stack|anon|JIT)[\w.]+\]|\.ko(\.\w+)?$/;
const isKernel = ({ object }: Frame) => KERNEL_OBJECT.test(object);

/** Here a frame is in the hands of a carrier, a tap or a bridge and its veths … */
const TAP = /^tun_/;
const BRIDGE = /^(veth_xmit|net_rx_action|process_backlog|__napi_poll|br_)/;
/** … and here in those of an end point's stack, whoever's time that runs in (ACKs written to a tap are taken at once). */
const END_POINT =
  /^(ip_rcv|ip_list_rcv|ip_sublist_rcv|ip_local_deliver|ip_protocol_deliver|ipv6_rcv|tcp_v[46]_(do_)?rcv|tcp_write_xmit|tcp_sendmsg|tcp_recvmsg|arp_rcv|packet_rcv)/;

/** Whose hands a kernel sample was in, by the boundary next to the leaf; undefined: it is not about frames. */
function handsOf(frames: readonly Frame[]): 'tap' | 'bridge' | 'end point' | undefined {
  for (const frame of frames) {
    if (!isKernel(frame)) return undefined;
    if (END_POINT.test(frame.symbol)) return 'end point';
    if (TAP.test(frame.symbol)) return 'tap';
    if (BRIDGE.test(frame.symbol)) return 'bridge';
    if (/softirq/.test(frame.symbol)) return undefined; // a softirq of another kind, in anybody's time
  }
  return undefined;
}

/** Whether a sample was taken between two guests of a bridge: what the hop costs, in whoever's time it ran. */
export function inBridgeHop(frames: readonly Frame[]): boolean {
  return handsOf(frames) === 'bridge';
}

/** A sample's component. A kernel sample is never charged to user code: it was the kernel that ran. */
export function componentOf(frames: readonly Frame[]): Component {
  const [leaf] = frames;
  if (!leaf) return 'other';
  if (!isKernel(leaf)) return userComponent(frames);
  const hands = handsOf(frames);
  if (hands === 'end point') return END_POINTS;
  for (const frame of frames) {
    if (!isKernel(frame)) break;
    for (const [pattern, component] of KERNEL) {
      // A carrier calls into TCP and IP here and there (who owns an skb, is IPv6 there): it is the carrier's cost.
      if (component === END_POINTS && hands !== undefined) continue;
      if (pattern.test(frame.symbol)) return component;
    }
  }
  return 'kernel: other';
}

/** Samples by component. */
export function tally(stacks: readonly Stack[]): Map<Component, number> {
  const counts = new Map<Component, number>();
  for (const { frames } of stacks) {
    const component = componentOf(frames);
    counts.set(component, (counts.get(component) ?? 0) + 1);
  }
  return counts;
}
