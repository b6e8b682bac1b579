// Private state of one netif queue in the arena, never shared with the peer. Written by the datapath thread.

// ---- netback queue -------------------------------------------------------------------------------
export const NB_SIZE = 128;
// What a turn of the direct lane needs stands in one cache line: with many busy vifs it is in no inner cache.
export const NB_TX_RING = 0; // u32 address of the mapped ring page
export const NB_RX_RING = 4;
export const NB_TX_CONS = 8; // next TX request to read
export const NB_TX_DONE = 12; // TX responses made and not yet shown
export const NB_TX_PASSED = 16; // u16, the first ones of these, for frames that took the direct lane: OKAY, and nowhere yet
export const NB_CONTROL_DUE = 18; // u8, of a vif's first queue, 1: there may be requests on its control ring
export const NB_TX_PUBLISHED = 20; // TX responses the guest has been shown
export const NB_RX_CONS = 24; // next RX request to use
export const NB_RX_RSP = 28; // next RX response to make
export const NB_RX_PUBLISHED = 32;
export const NB_COUNTERS = 36; // u32 address
export const NB_FENCED = 40; // 0, or FENCE_*
export const NB_STALLED = 44; // 1: frames for it are dropped until it has room again
export const NB_FULL_SINCE = 48; // ms clock since when frames wait for room, 0 = none does
export const NB_CACHE = 52; // u32 address of a mapping cache that turns grants into addresses; 0: all moves are segments
export const NB_CONTROL = 56; // u32 address of CT_SIZE bytes: what the front end configured (control_layout.ts)
export const NB_SET = 60; // u32 address of its vif's queues (SET_*); 0: it is the only one
// The rest.
export const NB_DOMID = 64;
export const NB_PORT = 68;
export const NB_FEATURES = 72; // FE_*
export const NB_RX_WANTED = 76; // RX slots that a waiting frame needs, 0 = none waits
export const NB_META = 80; // u32 address of NB_META_SIZE bytes: what is behind the RX responses being made
export const NB_PATIENCE = 84; // ms a frame may wait for this guest now
export const NB_STALLED_AT = 88; // ms clock when it stalled
export const NB_FULL_AT = 92; // NB_RX_CONS when frames began to wait for room
export const NB_SEGS = 96; // u32 address of the shard's copy segments
export const NB_SEGS_MAX = 100;
export const NB_DOMAIN = 104; // u32 address of its domain's record, where grants may be copied one at a time in its view; else 0
export const NB_TX_ANSWERS = 108; // u32 address of NB_TX_ANSWERS_SIZE bytes
export const NB_RX_ANSWERS = 112; // u32 address of NB_RX_ANSWERS_SIZE bytes
export const NB_RATE = 116; // u32 address of its vif's RATE_SIZE bytes; 0: it may send as much as it likes
export const NB_SEEN = 124; // of a vif's first queue: frames that the lane had moved, of all vifs, when it had its last turn
export const NB_WAKE = 120; // WAKE_*: what the direct lane showed it, and it asked to be woken for

export const WAKE_TX = 1;
export const WAKE_RX = 2;

// ---- what a vif may send -----------------------------------------------------------------------------
export const RATE_CREDIT = 0; // f64: bytes it may send now
export const RATE_WANTED = 8; // u32: size of the smallest frame that found too little credit since there came more; 0: none
export const RATE_SIZE = 16;

// ---- the queues of one vif, where there are several -------------------------------------------------
/** Most that a vif has. */
export const QUEUES_MAX = 32;
export const SET_COUNT = 0; // u32
export const SET_TURN = 4; // u32: the one that the direct lane begins with
export const SET_CONTROL = 8; // u32 address: NB_CONTROL of each of them
export const SET_QUEUES = 16; // u32 × QUEUES_MAX: addresses of their states (NB_*)
/** Then a list for each: u32 count, BURST × u32 frames that it is to receive. */
export const SET_LISTS = 144;
export const SET_LIST_SIZE = 260;

/** What the front end can receive. */
export const FE_SG = 1;
export const FE_GSO4 = 2;
export const FE_GSO6 = 4;
export const FE_CSUM4 = 8;
export const FE_CSUM6 = 16;

/**
 * Responses are made in private memory and written to the ring as they are shown: a slot that is not answered yet holds
 * its request, for whoever serves the ring after us. By slot: 256 × u32, a TX response with ANSWERED flipped (0: none)…
 */
export const NB_TX_ANSWERS_SIZE = 1024;
/** A bit that no status differs in: with it flipped, no response is 0. */
export const ANSWERED = 0x40000000;
/** …and 256 × u64, a RX response. */
export const NB_RX_ANSWERS_SIZE = 2048;

/** What is behind a RX response, one of 256 entries a slot. */
export const NB_META_SIZE = 2048;
export const META_ENTRY = 8;
export const META_KIND = 0; // u32: META_*
export const META_FRAME = 4; // u32, on a head: its descriptor
export const META_REST = 0; // a further data slot
export const META_EXTRA = 1;
export const META_HEAD = 2;
/** The receiver's grant was bad; the sender's was. */
export const META_HEAD_FAILED = 3;
export const META_HEAD_LOST = 4;

/** A guest that let a frame wait this long (ms) is stalled; each stall halves it, down to the least. */
export const PATIENCE_MOST = 200;
export const PATIENCE_LEAST = 10;
/** RX slots that a guest has to take within its patience, when frames wait for it all the time. */
export const PROGRESS_SLOTS = 64;
/** A stalled guest that shows this many free RX slots is trusted again. */
export const UNSTALL_SLOTS = 32;

/** Pages that a guest's requests may make its mapping cache map in one round, a frame's more or less. */
export const MISSES_PER_ROUND = 64;
/** Header bytes fetched from a guest before a frame is looked at (Linux netback: XEN_NETBACK_TX_COPY_LEN). */
export const HEADER_FETCH = 128;
/** A longer chain of slots ends the connection (Linux netback: fatal_skb_slots). */
export const FATAL_SLOTS = 20;
/** Most segments a frame can need: its slots or pages, header pieces on top. */
export const SEGS_PER_FRAME = 64;

// ---- push verdicts: what stopped netbackPush before the end of its list ----------------------------
export const PUSH_DONE = 0;
/** The receiver has no room: try again later. */
export const PUSH_FULL = 1;
/** The frame needs its checksum completed, or to be segmented, in software. */
export const PUSH_CSUM = 2;
export const PUSH_SEGMENT = 3;
/** The segment list is full: move it, commit, and go on. */
export const PUSH_FLUSH = 4;

// ---- netfront queue --------------------------------------------------------------------------------
export const NF_SIZE = 256;
export const NF_TX_RING = 0;
export const NF_RX_RING = 4;
export const NF_TX_REQ = 8; // next TX request to write
export const NF_TX_PUBLISHED = 12;
export const NF_TX_CONS = 16; // next TX response to read
export const NF_RX_REQ = 20;
export const NF_RX_PUBLISHED = 24;
export const NF_RX_CONS = 28;
export const NF_COUNTERS = 32;
export const NF_RAM = 36; // u32 address of the granted pages
export const NF_RAM_PAGES = 40;
export const NF_GREF = 44; // grant reference of the first granted page; page i has NF_GREF + i
export const NF_FENCED = 48;
export const NF_FEATURES = 52; // BE_*
export const NF_POOL = 56; // u32 address of the buffer pool (TX)
export const NF_PAGES = 60; // u32 address of the page stack (RX)
export const NF_TX_TABLE = 64; // u32 address of NF_TX_TABLE_SIZE bytes, indexed by request id, see TX_*
export const NF_RX_TABLE = 68; // u32 address: 256 × u32, the page posted in that slot
export const NF_FREE_IDS = 72; // u32 address of a stack of free request ids, + 1 so that 0 means none
export const NF_RX_TARGET = 76; // RX requests to keep posted
export const NF_WAITING = 80; // 1: a frame waits for TX slots
export const NF_PORT = 84;
export const NF_MCAST_REFUSED = 88; // changes of the multicast list that the back end refused
export const NF_GREFS = 92; // u32 address of a table of the pages' references, where they are in no order; else 0

export const NF_TX_TABLE_SIZE = 3072;
/** Within the table, 256 × u32 each: id + 1 of the frame's first slot (0 = free); on that one, slots unanswered, buffer. */
export const TX_HEAD = 0;
export const TX_LEFT = 1024;
export const TX_BUFFER = 2048;
export const NF_RX_TABLE_SIZE = 1024;

/** What the back end can receive. */
export const BE_SG = 1;
export const BE_GSO4 = 2;
export const BE_GSO6 = 4;
export const BE_CSUM4 = 8;
export const BE_CSUM6 = 16;

// ---- stack of addresses (buffers, pages): u32 count, u32 capacity, then the addresses ---------------
export const STACK_COUNT = 0;
export const STACK_CAPACITY = 4;
export const STACK_ITEMS = 8;
