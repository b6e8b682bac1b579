// The hot loops. One instance of this module runs on each datapath thread, over the one arena.
export { csumFold, csumPartial } from './checksum';
export { clearCounters, copyBytes } from './memory';
export { frameFromLinear, frameIsLocal, frameLinearize, frameClear } from './frame';
export { classify, dispatch, macAdd, macLookup, macKey, macRemovePort, settleRound } from './forward';
export { frameFillCsum, isTcpUdpCsum, offloadCheckVnet, offloadCsumFamily, offloadFromBlank, offloadGsoKind } from './offload';
export { segmentCount, segmentInto } from './segment';
export { initRing, pushRequests, pushResponses } from './ring';
export {
  netbackArmTx, netbackBounce, netbackBounced, netbackHeaders, netbackPublishTx, netbackPull, netbackRefuse, netbackRelease, settleAll,
} from './netback_tx';
export {
  dropGroups, netbackArmRx, netbackCommit, netbackPrepared, netbackPublishRx, netbackPush, netbackRoom, netbackUncommitted, netbackWait,
} from './netback_rx';
export {
  netfrontArm, netfrontPost, netfrontPublish, netfrontPull, netfrontPush, netfrontReap, netfrontRelease,
} from './netfront';
export { cacheBorrow, cacheResolve, cacheTick, grantFinish, grantNext, grantPrepare, moveLocal } from './move';
export { stackPop, stackPush } from './stack';
export { tapFinishRead, tapPrepareReads, tapPrepareWrite, tapRelease, tapWritten } from './tap';
export { uringQueue, uringReap } from './uring';
