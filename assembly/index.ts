// The hot loops. One instance of this module runs on each datapath thread, over the one arena.

export { cacheRound, cacheTick } from './cache';
export { cacheBorrow, cacheResolve } from './cache_batch';
export { csumFold, csumPartial } from './checksum';
export { flipMark, flipNext, flipPrepare, flipSettle } from './flip';
export { flowHash, netbackSteer } from './flow';
export {
  classify,
  dispatch,
  macAdd,
  macKey,
  macLookup,
  macRemove,
  macRemovePort,
  relieve,
  relieveOf,
  settleRound,
} from './forward';
export { frameClear, frameFromLinear, frameIsLocal, frameLinearize } from './frame';
export {
  junctionArm,
  junctionCramped,
  junctionCrowder,
  junctionPublish,
  junctionPull,
  junctionPush,
  junctionRelease,
  junctionRelieved,
} from './junction';
export { lanePassed, laneTurns } from './lane_turns';
export { grantMark, grantUnmark, mapNext, mapPrepare, mapSettle, mapTargets } from './map';
export { clearCounters, copyBytes } from './memory';
export { grantFinish, grantNext, grantPrepare, moveLocal } from './move';
export {
  foreignPage,
  nativeFinish,
  nativeNext,
  nativePrepare,
  nativeProbe,
  nativeProbed,
} from './native';
export {
  netbackArmTx,
  netbackBounce,
  netbackBounced,
  netbackRelease,
  settleAll,
} from './netback_done';
export { dropGroups, netbackArmRx, netbackRoom, netbackWait } from './netback_room';
export {
  netbackCommit,
  netbackPrepared,
  netbackPush,
  netbackUncommitted,
} from './netback_rx';
export { netbackPublishRx, netbackPublishTx, netbackResume } from './netback_show';
export { netbackHeaders, netbackPull } from './netback_tx';
export { netfrontCopyOut } from './netfront_copy';
export { netfrontMulticast } from './netfront_multicast';
export { netfrontArm, netfrontPublish } from './netfront_ring';
export { netfrontPost, netfrontPull, netfrontRelease } from './netfront_rx';
export { netfrontPush, netfrontReap } from './netfront_tx';
export {
  frameFillCsum,
  isTcpUdpCsum,
  offloadCheckVnet,
  offloadCsumFamily,
  offloadFromBlank,
  offloadGsoKind,
} from './offload';
export { initRing, pushRequests, pushResponses } from './ring';
export { segmentCount, segmentInto } from './segment';
export { stackPop, stackPush } from './stack';
export { staticAdd, staticDelete, staticRelease } from './static';
export { tapFinishRead, tapPrepareReads, tapPrepareWrite, tapRelease, tapWritten } from './tap';
export { toeplitz, toeplitzPrepare } from './toeplitz';
export { uringQueue, uringReap } from './uring';
export { copyPairs, copyRuns } from './yardstick';
