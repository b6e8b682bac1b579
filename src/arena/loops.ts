/** The hot loops (assembly/), compiled once, instantiated on each thread that runs them over the one arena. */
import { readFileSync } from 'node:fs';
import type { Arena } from './arena.js';

/** What assembly/index.ts exports. Addresses are arena offsets; the comments stand beside the code there. */
export interface Loops {
  csumPartial(address: number, length: number, sum: number): number;
  csumFold(sum: number): number;
  clearCounters(counters: number): void;
  copyBytes(to: number, from: number, length: number): void;
  frameClear(frame: number, source: number): void;
  frameFromLinear(frame: number, address: number, length: number, header: number): void;
  frameIsLocal(frame: number): number;
  frameLinearize(frame: number, to: number): number;
  classify(forward: number, list: number, n: number): void;
  dispatch(forward: number, list: number, n: number): number;
  relieve(forward: number, list: number, n: number, now: number, limit: number): void;
  relieveOf(forward: number, port: number, list: number, n: number): void;
  junctionPush(junction: number, counters: number, list: number, n: number, now: number): void;
  junctionPublish(junction: number): number;
  junctionPull(junction: number, port: number, counters: number, list: number, max: number): number;
  junctionRelease(junction: number, list: number, n: number): number;
  junctionRelieved(junction: number): number;
  junctionArm(junction: number): number;
  junctionCramped(junction: number): number;
  junctionCrowder(junction: number, list: number, n: number): number;
  lanePassed(): number;
  laneTurns(forward: number, first: number, count: number, from: number, until: number): number;
  settleRound(forward: number, list: number, n: number): void;
  macAdd(forward: number, address: number, port: number): number;
  macKey(address: number): bigint;
  macLookup(forward: number, key: bigint): number;
  macRemove(forward: number, address: number, port: number): void;
  macRemovePort(forward: number, port: number): void;
  frameFillCsum(frame: number): number;
  isTcpUdpCsum(frame: number): number;
  offloadCheckVnet(frame: number): number;
  offloadCsumFamily(frame: number): number;
  offloadFromBlank(frame: number): number;
  offloadGsoKind(frame: number): number;
  segmentCount(frame: number): number;
  segmentInto(frame: number, index: number, out: number): number;
  initRing(ring: number): void;
  pushRequests(ring: number, from: number, to: number): number;
  pushResponses(ring: number, from: number, to: number): number;
  netbackPull(nb: number, list: number, max: number): number;
  netbackHeaders(nb: number, list: number, frames: number, segments: number): void;
  flowHash(frame: number): number;
  netbackSteer(set: number, list: number, n: number): void;
  netbackRelease(list: number, n: number, scratch: number): number;
  netbackBounce(nb: number, list: number, from: number, n: number, frames: number, bounce: number): number;
  netbackBounced(nb: number, segments: number): void;
  netbackPublishTx(nb: number): number;
  netbackResume(nb: number): number;
  netbackArmTx(nb: number): number;
  netbackPush(nb: number, list: number, from: number, n: number, now: number): number;
  dropGroups(counters: number, list: number, from: number, n: number): void;
  netbackPrepared(): number;
  netbackUncommitted(): number;
  netbackCommit(nb: number): void;
  netbackRoom(nb: number): number;
  netbackWait(nb: number, frame: number, need: number, now: number): number;
  netbackPublishRx(nb: number): number;
  netbackArmRx(nb: number): number;
  settleAll(counters: number, list: number, n: number): void;
  netfrontPush(nf: number, list: number, from: number, n: number, now: number): number;
  netfrontCopyOut(nf: number, list: number, n: number, frames: number, to: number): void;
  netfrontMulticast(nf: number, listed: number, low: number, high: number): number;
  netfrontReap(nf: number): number;
  netfrontPull(nf: number, list: number, max: number): number;
  netfrontRelease(nf: number, list: number, n: number, scratch: number): number;
  netfrontPost(nf: number): void;
  netfrontPublish(nf: number): number;
  netfrontArm(nf: number): number;
  cacheRound(): void;
  cacheTick(cache: number, floor: number): number;
  cacheResolve(cache: number, segments: number, n: number): number;
  cacheBorrow(cache: number, list: number, n: number, bad: number): number;
  staticAdd(cache: number, list: number, n: number): number;
  staticDelete(cache: number, list: number, n: number, frames: number, flying: number): number;
  staticRelease(cache: number): void;
  toeplitz(control: number, data: number, length: number, position: number): number;
  toeplitzPrepare(control: number): void;
  moveLocal(segments: number, n: number, counters: number): void;
  grantPrepare(
    domains: number,
    segments: number,
    from: number,
    n: number,
    base: number,
    local: number,
    remote: number,
    max: number,
  ): number;
  grantNext(): number;
  grantFinish(
    domains: number,
    segments: number,
    from: number,
    to: number,
    moved: number,
    counters: number,
  ): void;
  grantMark(domains: number, requests: number, n: number): void;
  grantUnmark(domains: number, requests: number, n: number): void;
  foreignPage(foreign: number, address: number, dom: number, gref: number, write: number): void;
  nativePrepare(
    foreign: number,
    segments: number,
    from: number,
    n: number,
    base: number,
    out: number,
    max: number,
  ): number;
  nativeNext(): number;
  nativeFinish(
    segments: number,
    from: number,
    to: number,
    out: number,
    failed: number,
    counters: number,
  ): number;
  nativeProbe(segments: number, from: number, to: number, base: number, out: number, sink: number): number;
  nativeProbed(segments: number, from: number, to: number, out: number): void;
  mapPrepare(
    domains: number,
    segments: number,
    from: number,
    n: number,
    requests: number,
    window: number,
    max: number,
  ): number;
  mapNext(): number;
  mapTargets(): number;
  mapSettle(
    segments: number,
    from: number,
    to: number,
    requests: number,
    window: number,
    used: number,
  ): number;
  flipPrepare(
    segments: number,
    from: number,
    n: number,
    domid: number,
    requests: number,
    groups: number,
    max: number,
    stack: number,
    pool: number,
    poolEnd: number,
  ): number;
  flipNext(): number;
  flipMark(domains: number, segments: number, requests: number, groups: number, used: number): void;
  flipSettle(domains: number, segments: number, requests: number, groups: number, used: number): void;
  stackPop(stack: number): number;
  stackPush(stack: number, item: number): void;
  tapPrepareReads(tap: number, list: number, n: number): number;
  tapFinishRead(tap: number, frame: number, result: number): number;
  tapPrepareWrite(tap: number, frame: number, index: number): number;
  tapRelease(tap: number, list: number, n: number, scratch: number): number;
  tapWritten(tap: number, frame: number): void;
  uringQueue(ring: number, write: number, iov: number, count: number, tag: number): void;
  uringReap(ring: number, results: number): number;
  copyPairs(pairs: number, length: number, n: number): void;
  copyRuns(to: number, toStride: number, from: number, fromStride: number, length: number, n: number): void;
}

/** What the loops call back for: mapping one page of a domain, on a miss of the mapping cache. */
export interface LoopHost {
  /** 0, or a negative errno. */
  mapPage(cacheId: number, address: number, frame: number, writable: number): number;
}

const NOTHING: LoopHost = { mapPage: () => -38 /* ENOSYS: no cache on this thread */ };

let compiled: WebAssembly.Module | undefined;

/** The loops over an arena, for the calling thread. */
export function instantiateLoops(arena: Arena, host: LoopHost = NOTHING): Loops {
  compiled ??= new WebAssembly.Module(readFileSync(new URL('../../netferry.wasm', import.meta.url)));
  // WebAssembly has no unsigned numbers: an address in the arena's upper half arrives here as a negative one.
  const mapPage: LoopHost['mapPage'] = (id, address, frame, writable) =>
    host.mapPage(id, address >>> 0, frame >>> 0, writable);
  const imports = { env: { memory: arena.memory }, host: { mapPage } };
  return new WebAssembly.Instance(compiled, imports).exports as unknown as Loops;
}
