/** What a traffic classifier's program sees and calls: linux/bpf.h; its verdicts: linux/pkt_cls.h. */

// struct __sk_buff, the context in r1.
export const SKB_LEN = 0;
export const SKB_PKT_TYPE = 4;
export const SKB_MARK = 8;
export const SKB_PROTOCOL = 16;
export const SKB_VLAN_PRESENT = 20;
export const SKB_VLAN_TCI = 24;
export const SKB_INGRESS_IFINDEX = 36;
export const SKB_IFINDEX = 40;
/** Five u32 of the program's own, kept over a tail call. */
export const SKB_CB = 48;
export const SKB_DATA = 76;
export const SKB_DATA_END = 80;
/** Bytes of payload in each segment of what is cut on its way out; 0: it is one frame. */
export const SKB_GSO_SIZE = 176;

// enum bpf_func_id: the immediate of a call.
export const BPF_FUNC_map_lookup_elem = 1;
export const BPF_FUNC_map_update_elem = 2;
export const BPF_FUNC_map_delete_elem = 3;
export const BPF_FUNC_ktime_get_ns = 5;
export const BPF_FUNC_get_prandom_u32 = 7;
export const BPF_FUNC_tail_call = 12;
export const BPF_FUNC_clone_redirect = 13;
export const BPF_FUNC_redirect = 23;
export const BPF_FUNC_skb_load_bytes = 26;
export const BPF_FUNC_skb_change_type = 32;
export const BPF_FUNC_skb_pull_data = 39;
/** Since Linux 5.10. */
export const BPF_FUNC_redirect_peer = 155;

/** Flag of bpf_redirect and bpf_clone_redirect: into the interface's receive path, not out of it. */
export const BPF_F_INGRESS = 1;

// Verdicts. TC_ACT_UNSPEC (TCX_NEXT) asks the next program, and after the last one goes on.
export const TC_ACT_UNSPEC = -1;
export const TC_ACT_OK = 0;
export const TC_ACT_SHOT = 2;
export const TC_ACT_REDIRECT = 7;

/** pkt_type of a frame that the interface's own stack takes: linux/if_packet.h. */
export const PACKET_HOST = 0;
