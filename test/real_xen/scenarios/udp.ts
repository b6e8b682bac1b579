import { echoHashed } from '../dom0/echo.js';
import { addressesOf } from '../dom0/network.js';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about:
    'UDP of every size from 1 to 1472 bytes and up to 65,507 in fragments, dom0 → guest → dom0, compared',
  seconds: 240,
  async run(lab) {
    const guest = await lab.guestOn(await lab.network(), 1);
    const { v4, v6 } = addressesOf(1);
    lab.step('each size up to 1472');
    await echoHashed(
      guest,
      v4,
      Array.from({ length: 1472 }, (_, index) => index + 1),
    );
    lab.step('fragments');
    await echoHashed(guest, v4, [1473, 4000, 9000, 20_000, 32_769, 60_000, 65_507]);
    lab.step('IPv6');
    await echoHashed(guest, v6, [1, 2, 63, 64, 65, 100, 500, 1000, 1451, 1452, 1453, 9000, 60_000]);
  },
};
