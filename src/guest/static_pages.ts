/** A guest announces its pages to a back end that keeps them mapped (transfer "static"). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Arena } from '../arena/arena.js';
import { announcement, type ControlFront, type ControlResponse } from '../netif/control_front.js';
import {
  EMBEDDED_LAYOUT,
  type NetfrontLayout,
  PAGE_CTRL_LIST,
  pagesToAnnounce,
} from '../netif/netfront_memory.js';

/** ms that a back end may take for one answer. */
const PATIENCE = 2000;

/**
 * Announces as much as the back end keeps, and returns how many pages that are: 0 when it keeps none, for then the
 * vif's transfer is another. Frames flow all the while; what is not announced is copied by grant. Never throws for
 * what the back end does. `list`: arena address of page PAGE_CTRL_LIST. `layouts`: each queue's.
 */
export async function announcePages(
  arena: Arena,
  client: ControlFront,
  list: number,
  layouts: readonly NetfrontLayout[] = [EMBEDDED_LAYOUT],
): Promise<number> {
  let announced = 0;
  for (const [queue, layout] of layouts.entries()) {
    const pages = (room: number) => pagesToAnnounce(room, layout);
    const steps = announcement(arena, list, layouts[0].reference(PAGE_CTRL_LIST), pages, queue);
    const n = await drive(client, steps);
    if (n === 0) break;
    announced += n;
  }
  return announced;
}

async function drive(client: ControlFront, steps: ReturnType<typeof announcement>): Promise<number> {
  let step = steps.next();
  while (!step.done) {
    client.send(step.value);
    const response = await answerOf(client);
    if (!response) return 0;
    step = steps.next(response);
  }
  return step.value;
}

/** Node cannot wait for an eventfd; this happens a dozen times in a guest's life. */
async function answerOf(client: ControlFront): Promise<ControlResponse | undefined> {
  for (const deadline = performance.now() + PATIENCE; performance.now() < deadline; await sleep(1)) {
    const response = client.take();
    if (response) return response;
  }
  return undefined;
}
