/** Grant tables, version 1 entries, and the hypercalls' status codes: xen/grant_table.h. */

// struct grant_entry_v1: u16 flags, u16 domid, u32 frame. The granting domain writes it, flags last;
// the hypervisor (here: the embedded platform) sets GTF_reading and GTF_writing in flags.
export const GRANT_FLAGS = 0;
export const GRANT_DOMID = 2;
export const GRANT_FRAME = 4;
export const GRANT_ENTRY_SIZE = 8;
/** Entries in one page of the table. */
export const GRANTS_PER_PAGE = 512;

export const GTF_invalid = 0;
export const GTF_permit_access = 1;
export const GTF_accept_transfer = 2;
export const GTF_transitive = 3;
export const GTF_type_mask = 3;
export const GTF_readonly = 4;
export const GTF_reading = 8;
export const GTF_writing = 16;
export const GTF_sub_page = 256;
export const GTF_transfer_committed = 4;
export const GTF_transfer_completed = 8;

/** The first entries belong to the tool stack (console and xenstore rings); a guest grants from here on. */
export const GNTTAB_NR_RESERVED_ENTRIES = 8;
export const GNTTAB_RESERVED_CONSOLE = 0;
export const GNTTAB_RESERVED_XENSTORE = 1;

export const GNTST_okay = 0;
export const GNTST_general_error = -1;
export const GNTST_bad_domain = -2;
export const GNTST_bad_gntref = -3;
export const GNTST_bad_handle = -4;
export const GNTST_bad_virt_addr = -5;
export const GNTST_bad_dev_addr = -6;
export const GNTST_no_device_space = -7;
export const GNTST_permission_denied = -8;
export const GNTST_bad_page = -9;
export const GNTST_bad_copy_arg = -10;
export const GNTST_address_too_big = -11;
export const GNTST_eagain = -12;
export const GNTST_no_space = -13;

export const GNTCOPY_source_gref = 1;
export const GNTCOPY_dest_gref = 2;
