/**
 * bpf(2): maps, programs, links. Descriptors are the caller's to close; a map lives as long as a program or a
 * descriptor refers to it, a link (and with it the attachment) as long as its descriptor.
 * These are set-up calls; none belongs on a hot path. They throw SysError, and VerifierError for a refused program.
 */
import { constants } from 'node:os';
import * as abi from '../abi/bpf.js';
import { INSN_SIZE } from '../abi/bpf_insn.js';
import { RLIMIT_MEMLOCK } from '../abi/resource.js';
import { SysError } from './errors.js';
import { addressOf, close, errno, libc, rawSyscall } from './libc.js';
import { VerifierError } from './verifier_error.js';

/** asm/unistd.h */
const NR_BPF = process.arch === 'arm64' ? 280 : 321;
/** More than is used of union bpf_attr; the kernel takes what it does not know if it is zero. */
const ATTR_SIZE = 128;
const LOG_SIZE = 1 << 20;
/** Packet data of a test run, and room for what the program made of it. */
const TEST_DATA_MAX = 16_384;
const { EACCES, EAGAIN, EINVAL, ENOENT, ENOSPC, EPERM } = constants.errno;

const setrlimit = libc.func('int setrlimit(int resource, void *limit)');

const PRIVILEGE = 'run as root, or with CAP_BPF and CAP_NET_ADMIN (before Linux 5.8: CAP_SYS_ADMIN)';

/** One union bpf_attr. Keeps the buffers it points to alive. */
export class Attributes {
  readonly bytes = new Uint8Array(ATTR_SIZE);
  readonly view = new DataView(this.bytes.buffer);
  readonly buffers: Uint8Array[] = [];

  u32(offset: number, value: number): this {
    this.view.setUint32(offset, value, true);
    return this;
  }

  u64(offset: number, value: bigint): this {
    this.view.setBigUint64(offset, value, true);
    return this;
  }

  pointer(offset: number, buffer: Uint8Array): this {
    this.buffers.push(buffer);
    return this.u64(offset, BigInt(addressOf(buffer)));
  }

  text(offset: number, text: string): this {
    Buffer.from(this.bytes.buffer, offset, abi.BPF_OBJ_NAME_LEN - 1).write(text, 'latin1');
    return this;
  }

  /** The call's result, or the negative errno. */
  try(command: number): number {
    const result = rawSyscall(NR_BPF, command, addressOf(this.bytes), ATTR_SIZE, 0, 0, 0);
    return result === -1 ? -errno() : result;
  }

  call(command: number, name: string, subject: string): number {
    const result = this.try(command);
    if (result < 0) throw failure(name, -result, subject);
    return result;
  }
}

/** What a command was refused with. */
export function failure(name: string, code: number, subject: string): SysError {
  return new SysError(`bpf ${name}`, code, subject, code === EPERM ? PRIVILEGE : '');
}

export interface MapShape {
  /** BPF_MAP_TYPE_* */
  readonly type: number;
  /** Letters, digits, `_` and `.`; at most 15 of them are kept. */
  readonly name: string;
  /** Bytes. */
  readonly keySize: number;
  /** Bytes; of a per-CPU map, one CPU's share. */
  readonly valueSize: number;
  readonly maxEntries: number;
  /** BPF_F_*; default: none. */
  readonly flags?: number;
}

let memlockRaised = false;

/** Creates a map; returns its descriptor (close-on-exec, as all of bpf(2)). */
export function mapCreate(shape: MapShape): number {
  if (!memlockRaised) {
    memlockRaised = true;
    // RLIM_INFINITY. Before Linux 5.11 maps count as locked memory, of which a user has 64 KiB; later it is moot.
    setrlimit(RLIMIT_MEMLOCK, new BigUint64Array([~0n & 0xffff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ffffn]));
  }
  return new Attributes()
    .u32(abi.MAP_CREATE_TYPE, shape.type)
    .u32(abi.MAP_CREATE_KEY_SIZE, shape.keySize)
    .u32(abi.MAP_CREATE_VALUE_SIZE, shape.valueSize)
    .u32(abi.MAP_CREATE_MAX_ENTRIES, shape.maxEntries)
    .u32(abi.MAP_CREATE_FLAGS, shape.flags ?? 0)
    .text(abi.MAP_CREATE_NAME, shape.name)
    .call(abi.BPF_MAP_CREATE, 'MAP_CREATE', shape.name);
}

function element(fd: number, key: Uint8Array): Attributes {
  return new Attributes().u32(abi.MAP_ELEM_FD, fd).pointer(abi.MAP_ELEM_KEY, key);
}

/** Reads the value of `key` into `value` (of a per-CPU map: all CPUs' shares). False: there is no such key. */
export function mapLookup(fd: number, key: Uint8Array, value: Uint8Array): boolean {
  const result = element(fd, key).pointer(abi.MAP_ELEM_VALUE, value).try(abi.BPF_MAP_LOOKUP_ELEM);
  if (result < 0 && result !== -ENOENT) throw failure('MAP_LOOKUP_ELEM', -result, '');
  return result >= 0;
}

/** Writes a value. `flags`: BPF_ANY, BPF_NOEXIST (EEXIST if it is there), BPF_EXIST (ENOENT if not). E2BIG: full. */
export function mapUpdate(fd: number, key: Uint8Array, value: Uint8Array, flags: number = abi.BPF_ANY): void {
  element(fd, key)
    .pointer(abi.MAP_ELEM_VALUE, value)
    .u64(abi.MAP_ELEM_FLAGS, BigInt(flags))
    .call(abi.BPF_MAP_UPDATE_ELEM, 'MAP_UPDATE_ELEM', '');
}

/** Takes a key out of a hash map. False: it was not there. */
export function mapDelete(fd: number, key: Uint8Array): boolean {
  const result = element(fd, key).try(abi.BPF_MAP_DELETE_ELEM);
  if (result < 0 && result !== -ENOENT) throw failure('MAP_DELETE_ELEM', -result, '');
  return result >= 0;
}

/**
 * Loads a traffic classifier (or a program of another type); returns its descriptor. `instructions`: 8 bytes each, maps
 * as descriptors. A refusal by the verifier is a VerifierError with its log.
 */
export function loadClassifier(
  name: string,
  instructions: Uint8Array,
  type: number = abi.BPF_PROG_TYPE_SCHED_CLS,
): number {
  const license = Buffer.from('Dual MIT/GPL\0'); // bpf_redirect_peer and friends are for GPL-compatible programs
  const attributes = () =>
    new Attributes()
      .u32(abi.PROG_LOAD_TYPE, type)
      .u32(abi.PROG_LOAD_INSN_CNT, instructions.length / INSN_SIZE)
      .pointer(abi.PROG_LOAD_INSNS, instructions)
      .pointer(abi.PROG_LOAD_LICENSE, license)
      .text(abi.PROG_LOAD_NAME, name);
  const fd = again(() => attributes().try(abi.BPF_PROG_LOAD));
  if (fd >= 0) return fd;
  // Once more with a log: it costs the verifier time, so only what was refused pays for it.
  const log = new Uint8Array(LOG_SIZE);
  const told = again(() =>
    attributes()
      .u32(abi.PROG_LOAD_LOG_LEVEL, 1)
      .u32(abi.PROG_LOAD_LOG_SIZE, log.length)
      .pointer(abi.PROG_LOAD_LOG_BUF, log)
      .try(abi.BPF_PROG_LOAD),
  );
  if (told >= 0) return told;
  const text = Buffer.from(log.buffer, 0, Math.max(0, log.indexOf(0))).toString('latin1');
  // EACCES, EINVAL and others are the verifier's if it said anything; ENOSPC is a log longer than its buffer.
  const refused = text !== '' && [-EACCES, -EINVAL, -EPERM, -ENOSPC].includes(told);
  throw refused ? new VerifierError(name, -fd, text) : failure('PROG_LOAD', -told, name);
}

/** The verifier gives up with EAGAIN when a signal comes; libbpf too asks a few times. */
function again(load: () => number): number {
  let fd = -EAGAIN;
  for (let attempt = 0; attempt < 5 && fd === -EAGAIN; attempt++) fd = load();
  return fd;
}

export interface TestRun {
  readonly verdict: number;
  /** As the last run left it. */
  readonly frame: Uint8Array;
  /** Of one run, on average of all; the kernel counts whole ones. */
  readonly nanoseconds: number;
}

/** Runs a loaded classifier `repeat` times on one `frame` (14 bytes at least). */
export function programTestRun(fd: number, frame: Uint8Array, repeat = 1): TestRun {
  const out = new Uint8Array(TEST_DATA_MAX);
  const attributes = new Attributes()
    .u32(abi.TEST_RUN_PROG_FD, fd)
    .u32(abi.TEST_RUN_DATA_SIZE_IN, frame.length)
    .u32(abi.TEST_RUN_DATA_SIZE_OUT, out.length)
    .pointer(abi.TEST_RUN_DATA_IN, frame)
    .pointer(abi.TEST_RUN_DATA_OUT, out)
    .u32(abi.TEST_RUN_REPEAT, repeat);
  attributes.call(abi.BPF_PROG_TEST_RUN, 'PROG_TEST_RUN', '');
  return {
    verdict: attributes.view.getInt32(abi.TEST_RUN_RETVAL, true),
    frame: out.slice(0, attributes.view.getUint32(abi.TEST_RUN_DATA_SIZE_OUT, true)),
    nanoseconds: attributes.view.getUint32(abi.TEST_RUN_DURATION, true),
  };
}

function infoOf(fd: number, size: number): DataView {
  const info = new Uint8Array(size);
  new Attributes()
    .u32(abi.INFO_FD, fd)
    .u32(abi.INFO_LEN, size)
    .pointer(abi.INFO_POINTER, info)
    .call(abi.BPF_OBJ_GET_INFO_BY_FD, 'OBJ_GET_INFO_BY_FD', '');
  return new DataView(info.buffer);
}

function nameIn(info: DataView, offset: number): string {
  const bytes = Buffer.from(info.buffer, offset, abi.BPF_OBJ_NAME_LEN);
  return bytes.toString('latin1', 0, bytes.indexOf(0));
}

export interface ProgramInfo {
  readonly id: number;
  readonly name: string;
  /** Instructions after the kernel's rewriting. */
  readonly instructions: number;
}

export function programInfo(fd: number): ProgramInfo {
  const info = infoOf(fd, abi.PROG_INFO_SIZE);
  return {
    id: info.getUint32(abi.PROG_INFO_ID, true),
    name: nameIn(info, abi.PROG_INFO_NAME),
    instructions: info.getUint32(abi.PROG_INFO_XLATED_LEN, true) / INSN_SIZE,
  };
}

/** The name of the program with this id; undefined when it is gone. */
export function programName(id: number): string | undefined {
  const fd = new Attributes().u32(abi.GET_ID, id).try(abi.BPF_PROG_GET_FD_BY_ID);
  if (fd === -ENOENT) return undefined;
  if (fd < 0) throw failure('PROG_GET_FD_BY_ID', -fd, `program ${id}`);
  try {
    return programInfo(fd).name;
  } finally {
    close(fd);
  }
}

export interface MapInfo extends MapShape {
  readonly id: number;
}

export function mapInfo(fd: number): MapInfo {
  const info = infoOf(fd, abi.MAP_INFO_SIZE);
  return {
    type: info.getUint32(abi.MAP_INFO_TYPE, true),
    id: info.getUint32(abi.MAP_INFO_ID, true),
    keySize: info.getUint32(abi.MAP_INFO_KEY_SIZE, true),
    valueSize: info.getUint32(abi.MAP_INFO_VALUE_SIZE, true),
    maxEntries: info.getUint32(abi.MAP_INFO_MAX_ENTRIES, true),
    name: nameIn(info, abi.MAP_INFO_NAME),
  };
}

export interface LinkState {
  readonly id: number;
  readonly programId: number;
  /** 0 once the interface is gone or the link was detached. */
  readonly ifindex: number;
  /** BPF_TCX_INGRESS or BPF_TCX_EGRESS. */
  readonly attachType: number;
}

/** State of a TCX link. */
export function linkState(fd: number): LinkState {
  const info = infoOf(fd, abi.LINK_INFO_SIZE);
  return {
    id: info.getUint32(abi.LINK_INFO_ID, true),
    programId: info.getUint32(abi.LINK_INFO_PROG_ID, true),
    ifindex: info.getUint32(abi.LINK_INFO_TCX_IFINDEX, true),
    attachType: info.getUint32(abi.LINK_INFO_TCX_ATTACH_TYPE, true),
  };
}

export interface TcxLink {
  readonly program: number;
  readonly ifindex: number;
  /** BPF_TCX_INGRESS or BPF_TCX_EGRESS. */
  readonly attachType: number;
  /** BPF_F_BEFORE or BPF_F_AFTER; alone: before all, after all. */
  readonly flags: number;
  /** With BPF_F_ID in flags: the program (with BPF_F_LINK too, the link) before or after which. */
  readonly relativeId?: number;
  /** Attach only if the list is still as `tcxQuery` saw it, else ESTALE. 0: as it comes. */
  readonly revision?: bigint;
}

/** Attaches a program to an interface of the caller's network namespace; returns the link's descriptor. */
export function tcxLinkCreate(link: TcxLink, subject: string): number {
  return new Attributes()
    .u32(abi.LINK_CREATE_PROG_FD, link.program)
    .u32(abi.LINK_CREATE_TARGET_IFINDEX, link.ifindex)
    .u32(abi.LINK_CREATE_ATTACH_TYPE, link.attachType)
    .u32(abi.LINK_CREATE_FLAGS, link.flags)
    .u32(abi.LINK_CREATE_TCX_RELATIVE_ID, link.relativeId ?? 0)
    .u64(abi.LINK_CREATE_TCX_EXPECTED_REVISION, link.revision ?? 0n)
    .call(abi.BPF_LINK_CREATE, 'LINK_CREATE', subject);
}

export interface TcxList {
  /** In the order they run. `link` is 0 for a program attached without one. */
  readonly programs: readonly { readonly id: number; readonly link: number }[];
  readonly revision: bigint;
}

/** The programs on one side of an interface. Throws SysError EINVAL before Linux 6.6. */
export function tcxQuery(ifindex: number, attachType: number): TcxList {
  const room = 64; // the kernel's own limit, BPF_MPROG_MAX in kernel/bpf/mprog.c
  const ids = new Uint32Array(room);
  const links = new Uint32Array(room);
  const attributes = new Attributes()
    .u32(abi.QUERY_TARGET_IFINDEX, ifindex)
    .u32(abi.QUERY_ATTACH_TYPE, attachType)
    .u32(abi.QUERY_COUNT, room)
    .pointer(abi.QUERY_PROG_IDS, new Uint8Array(ids.buffer))
    .pointer(abi.QUERY_LINK_IDS, new Uint8Array(links.buffer));
  attributes.call(abi.BPF_PROG_QUERY, 'PROG_QUERY', `interface ${ifindex}`);
  const count = Math.min(attributes.view.getUint32(abi.QUERY_COUNT, true), room);
  return {
    programs: Array.from({ length: count }, (_, i) => ({ id: ids[i], link: links[i] })),
    revision: attributes.view.getBigUint64(abi.QUERY_REVISION, true),
  };
}
