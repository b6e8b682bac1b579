/** bpf(2): linux/bpf.h. Offsets are those of union bpf_attr's structs, one prefix a command. */

// enum bpf_cmd.
export const BPF_MAP_CREATE = 0;
export const BPF_MAP_LOOKUP_ELEM = 1;
export const BPF_MAP_UPDATE_ELEM = 2;
export const BPF_MAP_DELETE_ELEM = 3;
export const BPF_MAP_GET_NEXT_KEY = 4;
export const BPF_PROG_LOAD = 5;
export const BPF_PROG_TEST_RUN = 10;
export const BPF_PROG_GET_FD_BY_ID = 13;
export const BPF_OBJ_GET_INFO_BY_FD = 15;
export const BPF_PROG_QUERY = 16;
/** Since Linux 5.6. */
export const BPF_MAP_LOOKUP_BATCH = 24;
export const BPF_LINK_CREATE = 28;

export const BPF_MAP_TYPE_HASH = 1;
export const BPF_MAP_TYPE_ARRAY = 2;
export const BPF_MAP_TYPE_PROG_ARRAY = 3;
export const BPF_MAP_TYPE_PERCPU_ARRAY = 6;

export const BPF_PROG_TYPE_SCHED_CLS = 3;

/** Since Linux 6.6. */
export const BPF_TCX_INGRESS = 46;
export const BPF_TCX_EGRESS = 47;
export const BPF_LINK_TYPE_TCX = 11;

// BPF_MAP_UPDATE_ELEM.
export const BPF_ANY = 0;
export const BPF_NOEXIST = 1;
export const BPF_EXIST = 2;

// Where in the list of programs a link goes; since Linux 6.6.
export const BPF_F_BEFORE = 1 << 3;
export const BPF_F_AFTER = 1 << 4;
export const BPF_F_ID = 1 << 5;
export const BPF_F_LINK = 1 << 13;

/** Longest name of a map or program, with its NUL. */
export const BPF_OBJ_NAME_LEN = 16;

// BPF_MAP_CREATE.
export const MAP_CREATE_TYPE = 0;
export const MAP_CREATE_KEY_SIZE = 4;
export const MAP_CREATE_VALUE_SIZE = 8;
export const MAP_CREATE_MAX_ENTRIES = 12;
export const MAP_CREATE_FLAGS = 16;
export const MAP_CREATE_NAME = 28;

/** Programs only read it; since Linux 5.2. */
export const BPF_F_RDONLY_PROG = 1 << 7;

// BPF_MAP_*_BATCH; the number of entries goes in and comes out.
export const BATCH_IN = 0;
export const BATCH_OUT = 8;
export const BATCH_KEYS = 16;
export const BATCH_VALUES = 24;
export const BATCH_COUNT = 32;
export const BATCH_MAP_FD = 36;

// BPF_MAP_*_ELEM; a get-next writes the next key where the others have the value.
export const MAP_ELEM_FD = 0;
export const MAP_ELEM_KEY = 8;
export const MAP_ELEM_VALUE = 16;
export const MAP_ELEM_FLAGS = 24;

// BPF_PROG_LOAD.
export const PROG_LOAD_TYPE = 0;
export const PROG_LOAD_INSN_CNT = 4;
export const PROG_LOAD_INSNS = 8;
export const PROG_LOAD_LICENSE = 16;
export const PROG_LOAD_LOG_LEVEL = 24;
export const PROG_LOAD_LOG_SIZE = 28;
export const PROG_LOAD_LOG_BUF = 32;
export const PROG_LOAD_NAME = 48;

// BPF_PROG_TEST_RUN.
export const TEST_RUN_PROG_FD = 0;
export const TEST_RUN_RETVAL = 4;
export const TEST_RUN_DATA_SIZE_IN = 8;
export const TEST_RUN_DATA_SIZE_OUT = 12;
export const TEST_RUN_DATA_IN = 16;
export const TEST_RUN_DATA_OUT = 24;
export const TEST_RUN_REPEAT = 32;
export const TEST_RUN_DURATION = 36;

// BPF_*_GET_FD_BY_ID.
export const GET_ID = 0;

// BPF_OBJ_GET_INFO_BY_FD.
export const INFO_FD = 0;
export const INFO_LEN = 4;
export const INFO_POINTER = 8;

// struct bpf_prog_info, the part that is read.
export const PROG_INFO_TYPE = 0;
export const PROG_INFO_ID = 4;
export const PROG_INFO_XLATED_LEN = 20;
export const PROG_INFO_NAME = 64;
/** Bytes asked for: up to the name's end. */
export const PROG_INFO_SIZE = 80;

// struct bpf_map_info, the part that is read.
export const MAP_INFO_TYPE = 0;
export const MAP_INFO_ID = 4;
export const MAP_INFO_KEY_SIZE = 8;
export const MAP_INFO_VALUE_SIZE = 12;
export const MAP_INFO_MAX_ENTRIES = 16;
export const MAP_INFO_NAME = 24;
export const MAP_INFO_SIZE = 40;

// struct bpf_link_info; since Linux 6.6 its union has tcx { ifindex, attach_type }.
export const LINK_INFO_TYPE = 0;
export const LINK_INFO_ID = 4;
export const LINK_INFO_PROG_ID = 8;
export const LINK_INFO_TCX_IFINDEX = 16;
export const LINK_INFO_TCX_ATTACH_TYPE = 20;
export const LINK_INFO_SIZE = 24;

// BPF_LINK_CREATE; since Linux 6.6 its union has tcx { relative_fd or relative_id, u64 expected_revision }.
export const LINK_CREATE_PROG_FD = 0;
export const LINK_CREATE_TARGET_IFINDEX = 4;
export const LINK_CREATE_ATTACH_TYPE = 8;
export const LINK_CREATE_FLAGS = 12;
export const LINK_CREATE_TCX_RELATIVE_ID = 16;
export const LINK_CREATE_TCX_EXPECTED_REVISION = 24;

// BPF_PROG_QUERY; what follows prog_attach_flags is since Linux 6.6.
export const QUERY_TARGET_IFINDEX = 0;
export const QUERY_ATTACH_TYPE = 4;
export const QUERY_PROG_IDS = 16;
export const QUERY_COUNT = 24;
export const QUERY_LINK_IDS = 40;
export const QUERY_REVISION = 56;
