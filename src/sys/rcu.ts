/**
 * RCU grace periods (Documentation/RCU). Attaching and detaching by TCX each wait for one with rtnl held
 * (include/net/tcx.h, tcx_entry_sync), 10 to 30 ms. Whatever else the kernel waits for under rtnl it expedites
 * (net/core/dev.c, synchronize_net), 0.1 ms; this it does not, unless all are expedited.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** 1: grace periods are expedited; an administrator who does not want any has rcu_normal, which counts for more. */
export const RCU_EXPEDITED = '/sys/kernel/rcu_expedited';

/** Has them expedited, or no more. False: they were already, or we may not say so. `path`: for tests. */
export function expediteGracePeriods(on: boolean, path: string = RCU_EXPEDITED): boolean {
  try {
    const wanted = on ? '1' : '0';
    if (readFileSync(path, 'latin1').trim() === wanted) return false;
    writeFileSync(path, wanted);
    return true;
  } catch {
    return false; // no sysfs here, or read-only as in a container
  }
}
