// The forwarding table and the port records in the arena: private memory, written by the datapath thread.

/** MAC table: open addressing, MAC_SLOTS entries. An entry is u64 key (MAC in the low 48 bits, bit 48 set), u32 port. */
export const MAC_SLOTS = 4096;
export const MAC_ENTRY = 16;
export const MAC_KEY = 0;
export const MAC_PORT = 8;
export const MAC_TABLE_SIZE = 65536;

/** Port records, PORT_SIZE bytes each, indexed by port id. */
export const PORT_SIZE = 64;
export const PORT_MAC = 0; // u64: its MAC as a key; what it may send from
export const PORT_FLAGS = 8; // u32: PORT_*
export const PORT_WIRE = 12; // u32: port that gets everything, when PORT_WIRED
export const PORT_COUNTERS = 16; // u32 address
export const PORT_LIST = 20; // u32 address: u32 count, then BURST × u32 frames for this port in this round
export const PORT_DIRECT = 24; // u32 address of its netback state (NB_*), when the direct lane may use it; else 0
export const PORT_TOUCHED = 28; // u32: 1 while it stands in the list at FWD_TOUCHED
export const PORT_SENDERS = 32; // u32 address: the IP addresses it may be sender of, when PORT_CHECKED
export const PORT_THREADS = 36; // u32: the datapath threads whose group frames do not come to this part by a junction, a bit each
export const PORT_BEYOND = 40; // u32: of a junction, the bit of the thread that its frames come from

export const PORT_LANE = 44; // u32: as PORT_DIRECT, when its own frames may take the direct lane; else 0
export const PORT_FLYING = 48; // u32: frames of it in flight
export const PORT_QUIET = 52; // u32: rounds since its last frame
export const PORT_WOKEN = 56; // u32: 1 while it stands in the list at FWD_WOKEN
export const PORT_LAST = 60; // u32: the port that received frames of it by the direct lane last, 0 = none

export const PORT_ATTACHED = 1;
/** May send from any source MAC (an uplink). */
export const PORT_ANY_SOURCE = 2;
/** Joined to one other port: no look-up, no checks (the two ports of a guest). */
export const PORT_WIRED = 4;
/** Exchanges no frame with other ports so flagged (two ways to the same host, of which one is enough). */
export const PORT_ISOLATED = 8;
/** IP, ARP and ND senders must be in its list (senders_layout.ts). */
export const PORT_CHECKED = 16;

export const PORT_LIST_SIZE = 260;

/** The forwarding state as a whole. */
export const FWD_SIZE = 64;
export const FWD_MACS = 0; // u32 address of the MAC table
export const FWD_PORTS = 4; // u32 address of the port records
export const FWD_UPLINK = 8; // u32 port id, 0 = none
export const FWD_TARGETS = 12; // u32 address: u32 count, then port ids with a non-empty list this round
export const FWD_ACTIVE = 16; // u32 address: u32 count, then ids of attached ports
export const FWD_SCRATCH = 20; // u32 address of a descriptor that is nobody's, for frames that have none
export const FWD_TOUCHED = 24; // u32 address: u32 count, then ids of ports with something new for their peers
export const FWD_POLLED = 28; // u32 address: u32 count, then ids of the ports that have a turn in each round
export const FWD_WOKEN = 32; // u32 address: u32 count, then ids of ports whose peers are to be woken after the direct lane
export const FWD_SHOWN = 36; // u32 address of SHOWN_SIZE bytes: receivers of the direct lane's present turn

export const FWD_AHEAD = 40; // u32: of no meaning, where reads end that were made for the caches' sake (lane_ahead.ts)

/** u32 count, then states (NB_*) of queues, one for each run of frames. A ring's worth of frames makes as many at most. */
export const SHOWN_SIZE = 4 + 256 * 4;

// ---- what laneTurns returns: a place in the round, and ------------------------------------------------
export const TURN_PLACE = 0xffff;
/** Frames moved. */
export const TURN_MOVED = 0x10000;
/** The port at that place has something for the general path. */
export const TURN_GENERAL = 0x20000;
