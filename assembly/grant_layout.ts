// Records of the embedded hypervisor and of the transfers, in the arena, private to the back end.

/** Domain records: DOM_SIZE bytes each, indexed by domid. */
export const DOMAINS_MAX = 1024;
export const DOM_SIZE = 32;
export const DOM_TABLE = 0; // u32 address of the mapped grant table; 0 = no such domain
export const DOM_GRANTS = 4; // u32 entries in it
export const DOM_FRAMES = 8; // u32 pages of RAM
export const DOM_VIEW = 12; // u32 address of its whole RAM in the arena, the hypervisor's own view; 0 = not mapped here
export const DOM_BASE = 16; // u64 address of its RAM in this process, outside the arena
export const DOM_UNMAPPABLE = 24; // u32: 1 = RAM is private memory of this process, there is nothing to map
export const DOM0 = 0;

/** Mapping cache of one vif (transfers "persistent" and "static"). */
export const CACHE_SIZE = 64;
export const CACHE_DOMAINS = 0; // u32 address of the domain records
export const CACHE_DOMID = 4; // u32
export const CACHE_WINDOW = 8; // u32 address of CACHE_CAPACITY pages of arena
export const CACHE_CAPACITY = 12; // u32 pages
export const CACHE_TABLE = 16; // u32 address: CACHE_ENTRY bytes a grant reference
export const CACHE_SLOTS = 20; // u32 address: CACHE_SLOT bytes a page of the window
export const CACHE_TICK = 24; // u32: grows with every batch
export const CACHE_FLOOR = 28; // u32: tick of the oldest batch whose frames are still in flight
export const CACHE_COUNTERS = 32; // u32
export const CACHE_ID = 36; // u32: what the host's mapPage is told
export const CACHE_GRANTS = 40; // u32 entries in CACHE_TABLE
export const CACHE_KIND = 44; // u32 CACHE_*
export const CACHE_PINS = 48; // u32: 1 = a mapping pins its grant (native): entries cannot be seen, references name pages
export const CACHE_RX_LEFT = 52; // i32: pages that frames for the vif may still make it map in this round
export const CACHE_RX_ROUND = 60; // u32: the round that is meant
export const CACHE_RESTS = 56; // u32: tick until which nothing is mapped, for the kernel had no mapping left; 0: none
/** Maps what is looked up, and compares the grant on each use. */
export const CACHE_PERSISTENT = 0;
/** Knows what the front end announced (static.ts), nothing else. */
export const CACHE_STATIC = 1;

/** What a look-up needs stands side by side, in one cache line. */
export const CACHE_ENTRY = 16;
export const ENTRY_GRANT = 0; // u64: the grant entry when it was mapped; 0 = not mapped
export const ENTRY_PAGE = 8; // u32 arena address
export const ENTRY_USED = 12; // u32 tick of the last use
// In a static one, where a page stays put until it is withdrawn:
export const ENTRY_HOME = 4; // u32: where it is mapped, while no look-up finds it (ENTRY_GRANT is the low word only)
export const ENTRY_MARKS = 12; // u32: GTF_reading, GTF_writing as far as they were set for this mapping

export const CACHE_SLOT = 8;
export const SLOT_HOLDER = 0; // u32: the reference mapped there + 1, 0 = empty
export const SLOT_LENT = 4; // u32: tick at which a frame last came to refer to the page

/** Asks the host to unmap instead. */
export const NO_FRAME = 0xffffffff;

/** iovecs of one process_vm_readv(2) call: u64 base, u64 length. */
export const IOVEC_SIZE = 16;
export const IOV_MAX = 1024;

/** Request to map one granted page, after struct gnttab_map_grant_ref (xen/grant_table.h). */
export const MAP_SIZE = 16;
export const MAP_GREF = 0; // u32
export const MAP_DOMID = 4; // u16: who granted it
export const MAP_WRITE = 6; // u16: 1 = for writing too
export const MAP_STATUS = 8; // i16, GNTST_*: the answer
export const MAP_MARKS = 10; // u16, the platform's: the GTF bits that this mapping set
export const MAP_HANDLE = 12; // u32, the platform's: by what it finds the page (here: its number in the domain's RAM)
