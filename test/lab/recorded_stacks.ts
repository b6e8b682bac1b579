/**
 * What perf script printed of a daemon that carries a TCP stream from the host to a guest, and of a machine whose
 * bridge carries one: one sample a component, the outer frames cut off. With what each sample is, judged by hand.
 */
import type { Component } from '../../src/lab/traffic/components.js';

export interface Recorded {
  /** Recorded of the daemon's threads, or of all CPUs. */
  readonly of: 'daemon' | 'machine';
  readonly component: Component;
  /** Between two guests of a bridge (only asked of a whole machine's samples). */
  readonly hop: boolean;
  readonly text: string;
}

export const RECORDED: readonly Recorded[] = [
  {
    of: 'daemon',
    component: 'copy of frames',
    hop: false,
    text: `node 23507/23519 
	          16db20 __memmove_avx512_unaligned_erms (/usr/lib/x86_64-linux-gnu/libc.so.6)
	    38ffb8b6b2db JS:assembly/memory/copyBytes-1-turbofan (/tmp/perf-23507.map)
	    38ffb8b6a477 JS:assembly/netback_rx/layOut-50-turbofan (/tmp/perf-23507.map)
	    38ffb8b6bdba JS:assembly/netback_rx/pushList-10-turbofan (/tmp/perf-23507.map)
	    38ffb8b67849 JS:assembly/netback_rx/netbackPush-46-liftoff (/tmp/perf-23507.map)
	    7f70f4037f31 JS:*#route file:///opt/netferry/dist/src/datapath/engine.js:101:11 (/tmp/perf-23507.map)
	    7f70f4034946 JS:*round file:///opt/netferry/dist/src/datapath/engine.js:60:10 (/tmp/perf-23507.map)
`,
  },
  {
    of: 'daemon',
    component: 'kernel: copy',
    hop: true,
    text: `node 23507/23519 
	ffffffff81b6a184 _copy_to_iter ([kernel.kallsyms])
	ffffffff81e48ca2 __skb_datagram_iter ([kernel.kallsyms])
	ffffffff81e49a2f skb_copy_datagram_iter ([kernel.kallsyms])
	ffffffff81db00b7 tun_do_read ([kernel.kallsyms])
	ffffffff81db0a58 tun_chr_read_iter ([kernel.kallsyms])
	ffffffff81b4cbff __io_read ([kernel.kallsyms])
	ffffffff81b4d54b io_read ([kernel.kallsyms])
	ffffffff81b4000b __io_issue_sqe ([kernel.kallsyms])
	ffffffff81b445f7 io_issue_sqe ([kernel.kallsyms])
	ffffffff81b45132 io_submit_sqes ([kernel.kallsyms])
	ffffffff81b4574f __do_sys_io_uring_enter ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	          101829 syscall (/usr/lib/x86_64-linux-gnu/libc.so.6)
	           9bb44 [unknown] (/opt/netferry/node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node)
`,
  },
  {
    of: 'daemon',
    component: 'kernel: entry, interrupts',
    hop: false,
    text: `node 23507/23519 
	ffffffff816e73ee fget ([kernel.kallsyms])
	ffffffff81b457be __do_sys_io_uring_enter ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	          101829 syscall (/usr/lib/x86_64-linux-gnu/libc.so.6)
	           9bb44 [unknown] (/opt/netferry/node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node)
`,
  },
  {
    of: 'daemon',
    component: 'kernel: end point’s TCP/IP',
    hop: false,
    text: `node 23507/23519 
	ffffffff81b97e87 __list_del_entry_valid_or_report ([kernel.kallsyms])
	ffffffff8201be8d tcp_ack ([kernel.kallsyms])
	ffffffff8201f0cb tcp_rcv_established ([kernel.kallsyms])
	ffffffff820318d0 tcp_v4_do_rcv ([kernel.kallsyms])
	ffffffff82033d22 tcp_v4_rcv ([kernel.kallsyms])
	ffffffff81ff57b8 ip_protocol_deliver_rcu ([kernel.kallsyms])
	ffffffff81ff59a1 ip_local_deliver_finish ([kernel.kallsyms])
	ffffffff81e65a1d __netif_receive_skb_one_core ([kernel.kallsyms])
	ffffffff81e65c1f netif_receive_skb ([kernel.kallsyms])
	ffffffff81db45a8 tun_get_user ([kernel.kallsyms])
	ffffffff81db5437 tun_chr_write_iter ([kernel.kallsyms])
	ffffffff81b4da20 io_write ([kernel.kallsyms])
	ffffffff81b4000b __io_issue_sqe ([kernel.kallsyms])
	ffffffff81b445f7 io_issue_sqe ([kernel.kallsyms])
	ffffffff81b45132 io_submit_sqes ([kernel.kallsyms])
	ffffffff81b4574f __do_sys_io_uring_enter ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	          101829 syscall (/usr/lib/x86_64-linux-gnu/libc.so.6)
	           9bb44 [unknown] (/opt/netferry/node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node)
`,
  },
  {
    of: 'daemon',
    component: 'kernel: sched',
    hop: false,
    text: `node 23507/23519 
	ffffffff822004c9 _raw_spin_unlock_irqrestore ([kernel.kallsyms])
	ffffffff8141e960 __hrtimer_run_queues ([kernel.kallsyms])
	ffffffff8141eb28 hrtimer_run_softirq ([kernel.kallsyms])
	ffffffff8136006d handle_softirqs ([kernel.kallsyms])
	ffffffff813602be __irq_exit_rcu ([kernel.kallsyms])
	ffffffff821f1995 sysvec_apic_timer_interrupt ([kernel.kallsyms])
	ffffffff81000e06 asm_sysvec_apic_timer_interrupt ([kernel.kallsyms])
	ffffffff81b6a184 _copy_to_iter ([kernel.kallsyms])
	ffffffff81e48ca2 __skb_datagram_iter ([kernel.kallsyms])
	ffffffff81e49a2f skb_copy_datagram_iter ([kernel.kallsyms])
	ffffffff81db00b7 tun_do_read ([kernel.kallsyms])
	ffffffff81db0a58 tun_chr_read_iter ([kernel.kallsyms])
	ffffffff81b4cbff __io_read ([kernel.kallsyms])
	ffffffff81b4d54b io_read ([kernel.kallsyms])
	ffffffff81b4000b __io_issue_sqe ([kernel.kallsyms])
	ffffffff81b445f7 io_issue_sqe ([kernel.kallsyms])
	ffffffff81b45132 io_submit_sqes ([kernel.kallsyms])
	ffffffff81b4574f __do_sys_io_uring_enter ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	          101829 syscall (/usr/lib/x86_64-linux-gnu/libc.so.6)
	           9bb44 [unknown] (/opt/netferry/node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node)
`,
  },
  {
    of: 'daemon',
    component: 'kernel: eventfd, epoll',
    hop: false,
    text: `node 23507/23519 
	ffffffff82200cb1 _raw_spin_unlock_irq ([kernel.kallsyms])
	ffffffff81734351 eventfd_write ([kernel.kallsyms])
	ffffffff816b8a0a vfs_write ([kernel.kallsyms])
	ffffffff816b8f56 ksys_write ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	           f838f __GI___libc_write (/usr/lib/x86_64-linux-gnu/libc.so.6)
	           9bb44 [unknown] (/opt/netferry/node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node)
`,
  },
  {
    of: 'daemon',
    component: 'kernel: io_uring',
    hop: false,
    text: `node 23507/23519 
	ffffffff81b6ded3 __import_iovec ([kernel.kallsyms])
	ffffffff81b4bbd6 __io_import_rw_buffer ([kernel.kallsyms])
	ffffffff81b4c5aa io_prep_rw ([kernel.kallsyms])
	ffffffff81b4d2c3 io_prep_writev ([kernel.kallsyms])
	ffffffff81b450f9 io_submit_sqes ([kernel.kallsyms])
	ffffffff81b4574f __do_sys_io_uring_enter ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	          101829 syscall (/usr/lib/x86_64-linux-gnu/libc.so.6)
	           9bb44 [unknown] (/opt/netferry/node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node)
`,
  },
  {
    of: 'daemon',
    component: 'kernel: tap',
    hop: true,
    text: `node 23507/23519 
	ffffffff81db0a5b tun_chr_read_iter ([kernel.kallsyms])
	ffffffff81b4cbff __io_read ([kernel.kallsyms])
	ffffffff81b4d54b io_read ([kernel.kallsyms])
	ffffffff81b4000b __io_issue_sqe ([kernel.kallsyms])
	ffffffff81b445f7 io_issue_sqe ([kernel.kallsyms])
	ffffffff81b45132 io_submit_sqes ([kernel.kallsyms])
	ffffffff81b4574f __do_sys_io_uring_enter ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	          101829 syscall (/usr/lib/x86_64-linux-gnu/libc.so.6)
	           9bb44 [unknown] (/opt/netferry/node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node)
`,
  },
  {
    of: 'daemon',
    component: 'pull',
    hop: false,
    text: `node 23507/23519 
	    38ffb8b6e90f JS:assembly/uring/uringReap-16-turbofan (/tmp/perf-23507.map)
	    7f70f403a24b JS:*#run file:///opt/netferry/dist/src/tap/uring_io.js:68:9 (/tmp/perf-23507.map)
	    7f70f4033d83 JS:*round file:///opt/netferry/dist/src/datapath/engine.js:60:10 (/tmp/perf-23507.map)
	    7f70f4036420 JS:*#round file:///opt/netferry/dist/src/shard/worker.js:64:11 (/tmp/perf-23507.map)
	    7f70f4031b2b JS:^run file:///opt/netferry/dist/src/shard/worker.js:44:8 (/tmp/perf-23507.map)
	         14cfd1c Builtins_InterpreterEntryTrampoline (/usr/bin/node)
	         150b0cd Builtins_GeneratorPrototypeNext (/usr/bin/node)
`,
  },
  {
    of: 'daemon',
    component: 'Node and V8',
    hop: false,
    text: `node 23507/23510 
	         13f1e64 v8::internal::Assembler::emit_mov (/usr/bin/node)
	         1f05cdf v8::internal::compiler::CodeGenerator::AssembleArchInstruction (/usr/bin/node)
	         1f54207 v8::internal::compiler::CodeGenerator::AssembleInstruction (/usr/bin/node)
	         1f553c6 v8::internal::compiler::CodeGenerator::AssembleCode (/usr/bin/node)
	         1e3d8b6 v8::internal::compiler::PipelineImpl::AssembleCode (/usr/bin/node)
	         1e4a960 v8::internal::compiler::Pipeline::GenerateCodeForWasmFunction (/usr/bin/node)
	         1d9b7cb v8::internal::compiler::ExecuteTurbofanWasmCompilation (/usr/bin/node)
`,
  },
  {
    of: 'daemon',
    component: 'engine and ports, JS',
    hop: false,
    text: `node 23507/23519 
	    7f70f4034b7a JS:*round file:///opt/netferry/dist/src/datapath/engine.js:60:10 (/tmp/perf-23507.map)
	    7f70f4036420 JS:*#round file:///opt/netferry/dist/src/shard/worker.js:64:11 (/tmp/perf-23507.map)
	    7f70f4031b2b JS:^run file:///opt/netferry/dist/src/shard/worker.js:44:8 (/tmp/perf-23507.map)
	         14cfd1c Builtins_InterpreterEntryTrampoline (/usr/bin/node)
	         150b0cd Builtins_GeneratorPrototypeNext (/usr/bin/node)
	         14ce0dc Builtins_JSEntryTrampoline (/usr/bin/node)
	         14cde03 Builtins_JSEntry (/usr/bin/node)
`,
  },
  {
    of: 'daemon',
    component: 'kernel: net/core',
    hop: true,
    text: `node 23507/23519 
	ffffffff81ec7275 skb_clone_tx_timestamp ([kernel.kallsyms])
	ffffffff81dae58c tun_net_xmit ([kernel.kallsyms])
	ffffffff81e6273f dev_hard_start_xmit ([kernel.kallsyms])
	ffffffff81ed9798 sch_direct_xmit ([kernel.kallsyms])
	ffffffff81e6367e __dev_queue_xmit ([kernel.kallsyms])
	ffffffff81ff9e41 ip_finish_output2 ([kernel.kallsyms])
	ffffffff81ffc48f ip_output ([kernel.kallsyms])
	ffffffff81ffc92b __ip_queue_xmit ([kernel.kallsyms])
	ffffffff82025560 __tcp_transmit_skb ([kernel.kallsyms])
	ffffffff82026ecd tcp_write_xmit ([kernel.kallsyms])
	ffffffff820294ea tcp_tsq_handler ([kernel.kallsyms])
	ffffffff82029659 tcp_pace_kick ([kernel.kallsyms])
	ffffffff8141e96e __hrtimer_run_queues ([kernel.kallsyms])
	ffffffff8141eb28 hrtimer_run_softirq ([kernel.kallsyms])
	ffffffff8136006d handle_softirqs ([kernel.kallsyms])
	ffffffff813602be __irq_exit_rcu ([kernel.kallsyms])
	ffffffff821f1995 sysvec_apic_timer_interrupt ([kernel.kallsyms])
	ffffffff81000e06 asm_sysvec_apic_timer_interrupt ([kernel.kallsyms])
	ffffffff81b4bfa6 io_rw_init_file ([kernel.kallsyms])
	ffffffff81b4cb99 __io_read ([kernel.kallsyms])
	ffffffff81b4d54b io_read ([kernel.kallsyms])
	ffffffff81b4000b __io_issue_sqe ([kernel.kallsyms])
	ffffffff81b445f7 io_issue_sqe ([kernel.kallsyms])
	ffffffff81b45132 io_submit_sqes ([kernel.kallsyms])
	ffffffff81b4574f __do_sys_io_uring_enter ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	          101829 syscall (/usr/lib/x86_64-linux-gnu/libc.so.6)
	           9bb44 [unknown] (/opt/netferry/node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node)
`,
  },
  {
    of: 'daemon',
    component: 'offloads in software',
    hop: false,
    text: `node 23507/23519 
	    38ffb8b69bce JS:assembly/offload/offloadFromBlank-6-liftoff (/tmp/perf-23507.map)
	    38ffb8b65fbe JS:assembly/netback_tx/netbackHeaders-44-liftoff (/tmp/perf-23507.map)
	    7f70f4034760 JS:*round file:///opt/netferry/dist/src/datapath/engine.js:60:10 (/tmp/perf-23507.map)
	    7f70f4036420 JS:*#round file:///opt/netferry/dist/src/shard/worker.js:64:11 (/tmp/perf-23507.map)
	    7f70f4031b2b JS:^run file:///opt/netferry/dist/src/shard/worker.js:44:8 (/tmp/perf-23507.map)
	         14cfd1c Builtins_InterpreterEntryTrampoline (/usr/bin/node)
	         150b0cd Builtins_GeneratorPrototypeNext (/usr/bin/node)
`,
  },
  {
    of: 'daemon',
    component: 'classify',
    hop: false,
    text: `node 23507/23519 
	    38ffb8b6b6a2 JS:assembly/forward/classify-76-turbofan (/tmp/perf-23507.map)
	    7f70f40376aa JS:*#route file:///opt/netferry/dist/src/datapath/engine.js:101:11 (/tmp/perf-23507.map)
	    7f70f4034946 JS:*round file:///opt/netferry/dist/src/datapath/engine.js:60:10 (/tmp/perf-23507.map)
	    7f70f4036420 JS:*#round file:///opt/netferry/dist/src/shard/worker.js:64:11 (/tmp/perf-23507.map)
	    7f70f4031b2b JS:^run file:///opt/netferry/dist/src/shard/worker.js:44:8 (/tmp/perf-23507.map)
	         14cfd1c Builtins_InterpreterEntryTrampoline (/usr/bin/node)
	         150b0cd Builtins_GeneratorPrototypeNext (/usr/bin/node)
`,
  },
  {
    of: 'daemon',
    component: 'FFI',
    hop: false,
    text: `node 23507/23519 
	           87248 [unknown] (/opt/netferry/node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node)
	    7f7398184f80 [unknown] ([unknown])
	    7f7398000f00 [unknown] ([unknown])
	          86c330 node_napi_env__::CallFinalizer (/usr/bin/node)
	db8548105f8b4808 [unknown] ([unknown])
`,
  },
  {
    of: 'daemon',
    component: 'grants, mapping table',
    hop: false,
    text: `node 23507/23519 
	    38ffb8b6a8b2 JS:assembly/cache/cachedPage-4-turbofan (/tmp/perf-23507.map)
	    38ffb8b6a39a JS:assembly/netback_rx/layOut-50-turbofan (/tmp/perf-23507.map)
	    38ffb8b6bdba JS:assembly/netback_rx/pushList-10-turbofan (/tmp/perf-23507.map)
	    38ffb8b67849 JS:assembly/netback_rx/netbackPush-46-liftoff (/tmp/perf-23507.map)
	    7f70f4037f31 JS:*#route file:///opt/netferry/dist/src/datapath/engine.js:101:11 (/tmp/perf-23507.map)
	    7f70f4034946 JS:*round file:///opt/netferry/dist/src/datapath/engine.js:60:10 (/tmp/perf-23507.map)
	    7f70f4036420 JS:*#round file:///opt/netferry/dist/src/shard/worker.js:64:11 (/tmp/perf-23507.map)
`,
  },
  {
    of: 'daemon',
    component: 'push',
    hop: false,
    text: `node 23507/23519 
	    38ffb8b6ab8d JS:assembly/netback_rx/netbackCommit-49-turbofan (/tmp/perf-23507.map)
	    7f70f403813f JS:*#route file:///opt/netferry/dist/src/datapath/engine.js:101:11 (/tmp/perf-23507.map)
	    7f70f4034946 JS:*round file:///opt/netferry/dist/src/datapath/engine.js:60:10 (/tmp/perf-23507.map)
	    7f70f4036420 JS:*#round file:///opt/netferry/dist/src/shard/worker.js:64:11 (/tmp/perf-23507.map)
	    7f70f4031b2b JS:^run file:///opt/netferry/dist/src/shard/worker.js:44:8 (/tmp/perf-23507.map)
	         14cfd1c Builtins_InterpreterEntryTrampoline (/usr/bin/node)
	         150b0cd Builtins_GeneratorPrototypeNext (/usr/bin/node)
`,
  },
  {
    of: 'daemon',
    component: 'kernel: memory',
    hop: false,
    text: `node 23507/23519 
	ffffffff8168b83a get_mem_cgroup_from_mm ([kernel.kallsyms])
	ffffffff81690e5a __mem_cgroup_charge ([kernel.kallsyms])
	ffffffff815e9c8c do_anonymous_page ([kernel.kallsyms])
	ffffffff815ec07e __handle_mm_fault ([kernel.kallsyms])
	ffffffff815ec660 handle_mm_fault ([kernel.kallsyms])
	ffffffff821f2486 exc_page_fault ([kernel.kallsyms])
	ffffffff81000c82 asm_exc_page_fault ([kernel.kallsyms])
	         150c004 Builtins_LoadIC (/usr/bin/node)
	    7f70f4031008 JS:^ file:///opt/netferry/dist/src/shard/worker.js:168:52 (/tmp/perf-23507.map)
`,
  },
  {
    of: 'daemon',
    component: 'publish',
    hop: false,
    text: `node 23507/23519 
	    38ffb8b66da3 JS:assembly/netback_done/netbackPublishTx-57-liftoff (/tmp/perf-23507.map)
	    7f70f4034c35 JS:*round file:///opt/netferry/dist/src/datapath/engine.js:60:10 (/tmp/perf-23507.map)
	    7f70f4036420 JS:*#round file:///opt/netferry/dist/src/shard/worker.js:64:11 (/tmp/perf-23507.map)
	    7f70f4031b2b JS:^run file:///opt/netferry/dist/src/shard/worker.js:44:8 (/tmp/perf-23507.map)
	         14cfd1c Builtins_InterpreterEntryTrampoline (/usr/bin/node)
	         150b0cd Builtins_GeneratorPrototypeNext (/usr/bin/node)
	         14ce0dc Builtins_JSEntryTrampoline (/usr/bin/node)
`,
  },
  {
    of: 'daemon',
    component: 'kernel: sched',
    hop: true,
    text: `node 23507/23519 
	ffffffff822003d8 _raw_spin_lock_irqsave ([kernel.kallsyms])
	ffffffff813d2811 __wake_up_sync_key ([kernel.kallsyms])
	ffffffff81e324be sock_def_readable ([kernel.kallsyms])
	ffffffff81dae6b3 tun_net_xmit ([kernel.kallsyms])
	ffffffff81e6273f dev_hard_start_xmit ([kernel.kallsyms])
	ffffffff81ed9798 sch_direct_xmit ([kernel.kallsyms])
	ffffffff81e6367e __dev_queue_xmit ([kernel.kallsyms])
	ffffffff81ff9e41 ip_finish_output2 ([kernel.kallsyms])
	ffffffff81ffc48f ip_output ([kernel.kallsyms])
	ffffffff81ffc92b __ip_queue_xmit ([kernel.kallsyms])
	ffffffff82025560 __tcp_transmit_skb ([kernel.kallsyms])
	ffffffff82026ecd tcp_write_xmit ([kernel.kallsyms])
	ffffffff820294ea tcp_tsq_handler ([kernel.kallsyms])
	ffffffff82029659 tcp_pace_kick ([kernel.kallsyms])
	ffffffff8141e96e __hrtimer_run_queues ([kernel.kallsyms])
	ffffffff8141eb28 hrtimer_run_softirq ([kernel.kallsyms])
	ffffffff8136006d handle_softirqs ([kernel.kallsyms])
	ffffffff813602be __irq_exit_rcu ([kernel.kallsyms])
	ffffffff821f1995 sysvec_apic_timer_interrupt ([kernel.kallsyms])
	ffffffff81000e06 asm_sysvec_apic_timer_interrupt ([kernel.kallsyms])
	ffffffff813a2293 finish_task_switch.isra.0 ([kernel.kallsyms])
	ffffffff821f7d14 __schedule ([kernel.kallsyms])
	ffffffff821f88c3 schedule ([kernel.kallsyms])
	ffffffff821ffcfb schedule_hrtimeout_range_clock ([kernel.kallsyms])
	ffffffff8172f978 do_epoll_wait ([kernel.kallsyms])
	ffffffff81730f8a __x64_sys_epoll_wait ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	          108f36 epoll_wait (/usr/lib/x86_64-linux-gnu/libc.so.6)
	           87244 [unknown] (/opt/netferry/node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node)
`,
  },
  {
    of: 'daemon',
    component: 'kernel: memory',
    hop: true,
    text: `node 23507/23519 
	ffffffff816362b4 kmem_cache_alloc_noprof ([kernel.kallsyms])
	ffffffff81e3f690 __build_skb ([kernel.kallsyms])
	ffffffff81e3f6f1 build_skb ([kernel.kallsyms])
	ffffffff81db35ba tun_build_skb ([kernel.kallsyms])
	ffffffff81db3ac5 tun_get_user ([kernel.kallsyms])
	ffffffff81db5437 tun_chr_write_iter ([kernel.kallsyms])
	ffffffff81b4da20 io_write ([kernel.kallsyms])
	ffffffff81b4000b __io_issue_sqe ([kernel.kallsyms])
	ffffffff81b445f7 io_issue_sqe ([kernel.kallsyms])
	ffffffff81b45132 io_submit_sqes ([kernel.kallsyms])
	ffffffff81b4574f __do_sys_io_uring_enter ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	          101829 syscall (/usr/lib/x86_64-linux-gnu/libc.so.6)
	           9bb44 [unknown] (/opt/netferry/node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node)
`,
  },
  {
    of: 'machine',
    component: 'kernel: end point’s TCP/IP',
    hop: false,
    text: `iperf3 23594/23594 
	ffffffff81658708 policy_nodemask ([kernel.kallsyms])
	ffffffff81658801 alloc_pages_mpol ([kernel.kallsyms])
	ffffffff81658b1c alloc_pages_noprof ([kernel.kallsyms])
	ffffffff81e30ad1 skb_page_frag_refill ([kernel.kallsyms])
	ffffffff81e316cd sk_page_frag_refill ([kernel.kallsyms])
	ffffffff8200d0e6 tcp_sendmsg_locked ([kernel.kallsyms])
	ffffffff8200e15b tcp_sendmsg ([kernel.kallsyms])
	ffffffff81e2c259 sock_write_iter ([kernel.kallsyms])
	ffffffff816b8cd8 vfs_write ([kernel.kallsyms])
	ffffffff816b8faa ksys_write ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	           f8350 __GI___libc_write (/usr/lib/x86_64-linux-gnu/libc.so.6)
	fb3e170c40a3a864 [unknown] ([unknown])
`,
  },
  {
    of: 'machine',
    component: 'kernel: netfilter',
    hop: true,
    text: `iperf3 23593/23593 
	ffffffff821754f0 br_nf_forward_finish ([kernel.kallsyms])
	ffffffff8217597d br_nf_forward_ip.part.0 ([kernel.kallsyms])
	ffffffff81f28313 nf_hook_slow ([kernel.kallsyms])
	ffffffff82156335 __br_forward ([kernel.kallsyms])
	ffffffff821588a0 br_handle_frame_finish ([kernel.kallsyms])
	ffffffff82174aa8 br_nf_hook_thresh ([kernel.kallsyms])
	ffffffff82174ca3 br_nf_pre_routing_finish ([kernel.kallsyms])
	ffffffff821750f6 br_nf_pre_routing ([kernel.kallsyms])
	ffffffff82158e19 br_handle_frame ([kernel.kallsyms])
	ffffffff81e64537 __netif_receive_skb_core.constprop.0 ([kernel.kallsyms])
	ffffffff81e659c9 __netif_receive_skb_one_core ([kernel.kallsyms])
	ffffffff81e65d03 process_backlog ([kernel.kallsyms])
	ffffffff81e663e1 __napi_poll ([kernel.kallsyms])
	ffffffff81e6693b net_rx_action ([kernel.kallsyms])
	ffffffff8136006d handle_softirqs ([kernel.kallsyms])
	ffffffff8135facb do_softirq.part.0 ([kernel.kallsyms])
	ffffffff81360354 __local_bh_enable_ip ([kernel.kallsyms])
	ffffffff81e62d3c __dev_queue_xmit ([kernel.kallsyms])
	ffffffff81ff9d12 ip_finish_output2 ([kernel.kallsyms])
	ffffffff81ffc48f ip_output ([kernel.kallsyms])
	ffffffff81ffc92b __ip_queue_xmit ([kernel.kallsyms])
	ffffffff82025560 __tcp_transmit_skb ([kernel.kallsyms])
	ffffffff8200f248 tcp_recvmsg_locked ([kernel.kallsyms])
	ffffffff820108ae tcp_recvmsg ([kernel.kallsyms])
	ffffffff81e2b8ed sock_recvmsg ([kernel.kallsyms])
	ffffffff81e2b9f7 sock_read_iter ([kernel.kallsyms])
	ffffffff816b841c vfs_read ([kernel.kallsyms])
	ffffffff816b8e5a ksys_read ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	           f82ad read (/usr/lib/x86_64-linux-gnu/libc.so.6)
	fb3e170c40a3a864 [unknown] ([unknown])
`,
  },
  {
    of: 'machine',
    component: 'kernel: bridge',
    hop: true,
    text: `iperf3 23594/23594 
	ffffffff82155f9b br_dev_queue_push_xmit ([kernel.kallsyms])
	ffffffff8217476d br_nf_post_routing ([kernel.kallsyms])
	ffffffff81f28313 nf_hook_slow ([kernel.kallsyms])
	ffffffff82156232 br_forward_finish ([kernel.kallsyms])
	ffffffff82174aa8 br_nf_hook_thresh ([kernel.kallsyms])
	ffffffff8217560a br_nf_forward_finish ([kernel.kallsyms])
	ffffffff8217597d br_nf_forward_ip.part.0 ([kernel.kallsyms])
	ffffffff81f28313 nf_hook_slow ([kernel.kallsyms])
	ffffffff82156335 __br_forward ([kernel.kallsyms])
	ffffffff821588a0 br_handle_frame_finish ([kernel.kallsyms])
	ffffffff82174aa8 br_nf_hook_thresh ([kernel.kallsyms])
	ffffffff82174ca3 br_nf_pre_routing_finish ([kernel.kallsyms])
	ffffffff821750f6 br_nf_pre_routing ([kernel.kallsyms])
	ffffffff82158e19 br_handle_frame ([kernel.kallsyms])
	ffffffff81e64537 __netif_receive_skb_core.constprop.0 ([kernel.kallsyms])
	ffffffff81e659c9 __netif_receive_skb_one_core ([kernel.kallsyms])
	ffffffff81e65d03 process_backlog ([kernel.kallsyms])
	ffffffff81e663e1 __napi_poll ([kernel.kallsyms])
	ffffffff81e6693b net_rx_action ([kernel.kallsyms])
	ffffffff8136006d handle_softirqs ([kernel.kallsyms])
	ffffffff8135facb do_softirq.part.0 ([kernel.kallsyms])
	ffffffff81360354 __local_bh_enable_ip ([kernel.kallsyms])
	ffffffff81e62d3c __dev_queue_xmit ([kernel.kallsyms])
	ffffffff81ff9e41 ip_finish_output2 ([kernel.kallsyms])
	ffffffff81ffc48f ip_output ([kernel.kallsyms])
	ffffffff81ffc92b __ip_queue_xmit ([kernel.kallsyms])
	ffffffff82025560 __tcp_transmit_skb ([kernel.kallsyms])
	ffffffff82026ecd tcp_write_xmit ([kernel.kallsyms])
	ffffffff82028325 __tcp_push_pending_frames ([kernel.kallsyms])
	ffffffff8200d68f tcp_sendmsg_locked ([kernel.kallsyms])
	ffffffff8200e15b tcp_sendmsg ([kernel.kallsyms])
	ffffffff81e2c259 sock_write_iter ([kernel.kallsyms])
	ffffffff816b8cd8 vfs_write ([kernel.kallsyms])
	ffffffff816b8faa ksys_write ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	           f8350 __GI___libc_write (/usr/lib/x86_64-linux-gnu/libc.so.6)
	fb3e170c40a3a864 [unknown] ([unknown])
`,
  },
  {
    of: 'machine',
    component: 'kernel: net/core',
    hop: true,
    text: `iperf3 23594/23594 
	ffffffff82200cb1 _raw_spin_unlock_irq ([kernel.kallsyms])
	ffffffff81e65d71 process_backlog ([kernel.kallsyms])
	ffffffff81e663e1 __napi_poll ([kernel.kallsyms])
	ffffffff81e6693b net_rx_action ([kernel.kallsyms])
	ffffffff8136006d handle_softirqs ([kernel.kallsyms])
	ffffffff8135facb do_softirq.part.0 ([kernel.kallsyms])
	ffffffff81360354 __local_bh_enable_ip ([kernel.kallsyms])
	ffffffff81e62d3c __dev_queue_xmit ([kernel.kallsyms])
	ffffffff81ff9e41 ip_finish_output2 ([kernel.kallsyms])
	ffffffff81ffc48f ip_output ([kernel.kallsyms])
	ffffffff81ffc92b __ip_queue_xmit ([kernel.kallsyms])
	ffffffff82025560 __tcp_transmit_skb ([kernel.kallsyms])
	ffffffff82026ecd tcp_write_xmit ([kernel.kallsyms])
	ffffffff8200d34f tcp_sendmsg_locked ([kernel.kallsyms])
	ffffffff8200e15b tcp_sendmsg ([kernel.kallsyms])
	ffffffff81e2c259 sock_write_iter ([kernel.kallsyms])
	ffffffff816b8cd8 vfs_write ([kernel.kallsyms])
	ffffffff816b8faa ksys_write ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	           f8350 __GI___libc_write (/usr/lib/x86_64-linux-gnu/libc.so.6)
	fb3e170c40a3a864 [unknown] ([unknown])
`,
  },
  {
    of: 'machine',
    component: 'kernel: entry, interrupts',
    hop: false,
    text: `iperf3 23594/23594 
	ffffffff8135fadf do_softirq.part.0 ([kernel.kallsyms])
	ffffffff81360354 __local_bh_enable_ip ([kernel.kallsyms])
	ffffffff81e62d3c __dev_queue_xmit ([kernel.kallsyms])
	ffffffff81ff9e41 ip_finish_output2 ([kernel.kallsyms])
	ffffffff81ffc48f ip_output ([kernel.kallsyms])
	ffffffff81ffc92b __ip_queue_xmit ([kernel.kallsyms])
	ffffffff82025560 __tcp_transmit_skb ([kernel.kallsyms])
	ffffffff82026ecd tcp_write_xmit ([kernel.kallsyms])
	ffffffff8200d34f tcp_sendmsg_locked ([kernel.kallsyms])
	ffffffff8200e15b tcp_sendmsg ([kernel.kallsyms])
	ffffffff81e2c259 sock_write_iter ([kernel.kallsyms])
	ffffffff816b8cd8 vfs_write ([kernel.kallsyms])
	ffffffff816b8faa ksys_write ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	           f8350 __GI___libc_write (/usr/lib/x86_64-linux-gnu/libc.so.6)
	fb3e170c40a3a864 [unknown] ([unknown])
`,
  },
  {
    of: 'machine',
    component: 'kernel: sched',
    hop: false,
    text: `iperf3 23594/23594 
	ffffffff813a2293 finish_task_switch.isra.0 ([kernel.kallsyms])
	ffffffff821f7d14 __schedule ([kernel.kallsyms])
	ffffffff821f88c3 schedule ([kernel.kallsyms])
	ffffffff821ffcfb schedule_hrtimeout_range_clock ([kernel.kallsyms])
	ffffffff816d8557 poll_schedule_timeout.constprop.0 ([kernel.kallsyms])
	ffffffff816d90ca do_select ([kernel.kallsyms])
	ffffffff816da3c5 core_sys_select ([kernel.kallsyms])
	ffffffff816da845 do_pselect.constprop.0 ([kernel.kallsyms])
	ffffffff816da9f3 __x64_sys_pselect6 ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	           fe954 __select (/usr/lib/x86_64-linux-gnu/libc.so.6)
	           25dd4 [unknown] ([unknown])
`,
  },
  {
    of: 'machine',
    component: 'kernel: net/core',
    hop: false,
    text: `iperf3 23593/23593 
	ffffffff81e2b8b1 sock_recvmsg ([kernel.kallsyms])
	ffffffff81e2b9f7 sock_read_iter ([kernel.kallsyms])
	ffffffff816b841c vfs_read ([kernel.kallsyms])
	ffffffff816b8e5a ksys_read ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	           f82ad read (/usr/lib/x86_64-linux-gnu/libc.so.6)
	fb3e170c40a3a864 [unknown] ([unknown])
`,
  },
  {
    of: 'machine',
    component: 'kernel: veth',
    hop: true,
    text: `iperf3 23594/23594 
	ffffffff81dbac1c veth_xmit ([kernel.kallsyms])
	ffffffff81e6273f dev_hard_start_xmit ([kernel.kallsyms])
	ffffffff81e63314 __dev_queue_xmit ([kernel.kallsyms])
	ffffffff81ff9e41 ip_finish_output2 ([kernel.kallsyms])
	ffffffff81ffc48f ip_output ([kernel.kallsyms])
	ffffffff81ffc92b __ip_queue_xmit ([kernel.kallsyms])
	ffffffff82025560 __tcp_transmit_skb ([kernel.kallsyms])
	ffffffff82026ecd tcp_write_xmit ([kernel.kallsyms])
	ffffffff8200d34f tcp_sendmsg_locked ([kernel.kallsyms])
	ffffffff8200e15b tcp_sendmsg ([kernel.kallsyms])
	ffffffff81e2c259 sock_write_iter ([kernel.kallsyms])
	ffffffff816b8cd8 vfs_write ([kernel.kallsyms])
	ffffffff816b8faa ksys_write ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	           f8350 __GI___libc_write (/usr/lib/x86_64-linux-gnu/libc.so.6)
	fb3e170c40a3a864 [unknown] ([unknown])
`,
  },
  {
    of: 'machine',
    component: 'kernel: memory',
    hop: false,
    text: `ksoftirqd/0    14/14    
	ffffffff81690633 __memcg_slab_free_hook ([kernel.kallsyms])
	ffffffff8162fada kmem_cache_free ([kernel.kallsyms])
	ffffffff81407637 rcu_do_batch ([kernel.kallsyms])
	ffffffff81408127 rcu_core ([kernel.kallsyms])
	ffffffff8136006d handle_softirqs ([kernel.kallsyms])
	ffffffff81360b0f run_ksoftirqd ([kernel.kallsyms])
	ffffffff8139757f smpboot_thread_fn ([kernel.kallsyms])
	ffffffff81389a68 kthread ([kernel.kallsyms])
	ffffffff8130a531 ret_from_fork ([kernel.kallsyms])
	ffffffff81248fea ret_from_fork_asm ([kernel.kallsyms])
`,
  },
  {
    of: 'machine',
    component: 'kernel: memory',
    hop: true,
    text: `iperf3 23594/23594 
	ffffffff816362d8 kmem_cache_alloc_noprof ([kernel.kallsyms])
	ffffffff81e48673 __skb_ext_alloc ([kernel.kallsyms])
	ffffffff81e48793 skb_ext_add ([kernel.kallsyms])
	ffffffff8217503f br_nf_pre_routing ([kernel.kallsyms])
	ffffffff82158e19 br_handle_frame ([kernel.kallsyms])
	ffffffff81e64537 __netif_receive_skb_core.constprop.0 ([kernel.kallsyms])
	ffffffff81e659c9 __netif_receive_skb_one_core ([kernel.kallsyms])
	ffffffff81e65d03 process_backlog ([kernel.kallsyms])
	ffffffff81e663e1 __napi_poll ([kernel.kallsyms])
	ffffffff81e6693b net_rx_action ([kernel.kallsyms])
	ffffffff8136006d handle_softirqs ([kernel.kallsyms])
	ffffffff8135facb do_softirq.part.0 ([kernel.kallsyms])
	ffffffff81360354 __local_bh_enable_ip ([kernel.kallsyms])
	ffffffff81e62d3c __dev_queue_xmit ([kernel.kallsyms])
	ffffffff81ff9e41 ip_finish_output2 ([kernel.kallsyms])
	ffffffff81ffc48f ip_output ([kernel.kallsyms])
	ffffffff81ffc92b __ip_queue_xmit ([kernel.kallsyms])
	ffffffff82025560 __tcp_transmit_skb ([kernel.kallsyms])
	ffffffff82026ecd tcp_write_xmit ([kernel.kallsyms])
	ffffffff82028325 __tcp_push_pending_frames ([kernel.kallsyms])
	ffffffff8200d68f tcp_sendmsg_locked ([kernel.kallsyms])
	ffffffff8200e15b tcp_sendmsg ([kernel.kallsyms])
	ffffffff81e2c259 sock_write_iter ([kernel.kallsyms])
	ffffffff816b8cd8 vfs_write ([kernel.kallsyms])
	ffffffff816b8faa ksys_write ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	           f8350 __GI___libc_write (/usr/lib/x86_64-linux-gnu/libc.so.6)
	fb3e170c40a3a864 [unknown] ([unknown])
`,
  },
  {
    of: 'machine',
    component: 'kernel: other',
    hop: false,
    text: `iperf3 23594/23594 
	ffffffff82201e40 __x86_indirect_thunk_rax ([kernel.kallsyms])
	           f8350 __GI___libc_write (/usr/lib/x86_64-linux-gnu/libc.so.6)
	fb3e170c40a3a864 [unknown] ([unknown])
`,
  },
  {
    of: 'machine',
    component: 'kernel: copy',
    hop: false,
    text: `iperf3 23593/23593 
	ffffffff81b73010 _copy_from_user ([kernel.kallsyms])
	ffffffff816da35e core_sys_select ([kernel.kallsyms])
	ffffffff816da845 do_pselect.constprop.0 ([kernel.kallsyms])
	ffffffff816da9f3 __x64_sys_pselect6 ([kernel.kallsyms])
	ffffffff821ec951 do_syscall_64 ([kernel.kallsyms])
	ffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])
	           fe954 __select (/usr/lib/x86_64-linux-gnu/libc.so.6)
	           72c22 [unknown] ([unknown])
`,
  },
];
