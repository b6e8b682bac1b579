// Layouts of the datapath's own structures in the arena: what WebAssembly and TypeScript both know.
// Byte offsets, little endian. Only plain constants, so that asc and tsc compile this file alike.
// None of these structures is ever mapped into a guest: they are private memory of the back end.

// ---- Frame descriptor: one Ethernet frame on its way through the datapath ------------------------
export const FRAME_SIZE = 640;
/** u32: whole length in bytes, from the destination MAC to the last payload byte (no FCS). */
export const F_LEN = 0;
/** u32: how many leading bytes of the frame lie in F_HEADER. The rest is in the fragments. */
export const F_HDR_LEN = 4;
/** u32: fragments in use. */
export const F_NFRAGS = 8;
/** u32: 0 pending, 1 settled (delivered, or dropped and counted): its source may release it. */
export const F_SETTLED = 12;
/** u32: destination port id, VERDICT_GROUP, or VERDICT_DROP + drop counter index. */
export const F_VERDICT = 16;
/** u32: milliseconds (wrapping) when the frame first found its destination full; 0 = never. */
export const F_SINCE = 20;
/** u32 ×3: the source port's own notes (buffer address, first ring slot, slot count…). */
export const F_COOKIE = 24;
export const F_COOKIE2 = 28;
export const F_COOKIE3 = 32;
/** u32: id of the port that received the frame. */
export const F_SRC = 36;
/** u32: the source port's own: index of its first ring slot. */
export const F_SLOT = 40;
/** u32: the source port's own: its queue's state. */
export const F_QUEUE = 44;
/**
 * virtio_net_hdr_v1, 12 bytes (linux/virtio_net.h): u8 flags, u8 gso_type, u16 hdr_len, u16 gso_size,
 * u16 csum_start, u16 csum_offset, u16 num_buffers. The frame's checksum and segmentation state, in
 * place in front of the header bytes, so that a tap takes [F_VNET, 12 + F_HDR_LEN) as one iovec.
 */
export const F_VNET = 52;
export const V_FLAGS = 52;
export const V_GSO_TYPE = 53;
export const V_HDR_LEN = 54;
export const V_GSO_SIZE = 56;
export const V_CSUM_START = 58;
export const V_CSUM_OFFSET = 60;
export const V_NUM_BUFFERS = 62;
export const VNET_SIZE = 12;
/** The first bytes of the frame, copied once from the peer: all that is ever inspected. */
export const F_HEADER = 64;
export const HEADER_MAX = 192;
/** Fragments, FRAG_SIZE bytes each. */
export const F_FRAGS = 256;
export const FRAGS_MAX = 24;

// ---- Fragment: a run of bytes in the arena, or in a page that a domain granted -------------------
export const FRAG_SIZE = 16;
/** u32: arena address of the bytes; 0 = not readable here, use the grant. */
export const G_ADDR = 0;
/** u32: grant reference (when G_ADDR is 0). */
export const G_GREF = 4;
/** u16: offset within the granted page. */
export const G_OFF = 8;
/** u16: length in bytes. */
export const G_LEN = 10;
/** u16: the granting domain. */
export const G_DOM = 12;
/** u16: the source port's own (a netif vif keeps the slot's id here). */
export const G_COOKIE = 14;

// ---- Copy segment: GNTTABOP_copy's idea (xen/grant_table.h); each end is an arena address or a grant
export const SEG_SIZE = 32;
export const S_SRC_ADDR = 0; // u32, 0 = grant
export const S_SRC_GREF = 4; // u32
export const S_SRC_OFF = 8; // u16
export const S_SRC_DOM = 10; // u16
export const S_DST_ADDR = 12; // u32, 0 = grant
export const S_DST_GREF = 16; // u32
export const S_DST_OFF = 20; // u16
export const S_DST_DOM = 22; // u16
/** Set in S_DST_OFF of a refused segment: it was its source's grant. */
export const S_SOURCE_REFUSED = 0x8000;
export const S_LEN = 24; // u16
export const S_STATUS = 26; // i16, GNTST_*
export const S_TAG = 28; // u32, the caller's

// ---- Verdicts -----------------------------------------------------------------------------------
export const VERDICT_GROUP = 0xffff;
export const VERDICT_DROP = 0x10000;

/** Most frames of one port in flight in one round. */
export const BURST = 64;
/** Ports of one datapath. Ids 1 … PORTS_MAX - 1; 0 is nobody. */
export const PORTS_MAX = 512;
export const PAGE_SIZE = 4096;
/** Bytes for a private copy of a frame: a page for each of FRAGS_MAX fragments. */
export const BOUNCE_STRIDE = 98304;
