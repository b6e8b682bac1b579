/** Connecting to a vif's rings, which the death of a predecessor may delay: its event channels are bound until it is gone. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FrontendKeys } from './frontend_keys.js';
import { NotYet, type VifConnector, type VifIdentity } from './vif_connector.js';

/** ms between attempts. */
const PAUSE = 200;
const ATTEMPTS = 10;

/** Resolves with why it has to wait, undefined when it is connected. Rejects as the connector does. */
export async function takeOver(
  connector: VifConnector,
  vif: VifIdentity,
  keys: FrontendKeys,
  resumed: boolean,
): Promise<string | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      await connector.connect(vif, keys, resumed);
      return undefined;
    } catch (error) {
      if (error instanceof NotYet) return error.message;
      if (!resumed || attempt === ATTEMPTS) throw error;
    }
    await sleep(PAUSE);
  }
}
