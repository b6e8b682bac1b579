import assert from 'node:assert/strict';
import { HOST } from '../dom0/network.js';
import type { Scenario } from '../scenario.js';

/** Every alignment of a small frame, both sides of the 128 bytes that are copied first, and the largest. */
const SIZES = [...range(0, 40), ...range(80, 90), ...range(120, 132), 500, 1000, ...range(1466, 1472)];

export const scenario: Scenario = {
  about: 'ping of 0 to 1472 bytes, and of 60,000 in fragments, over IPv4 and IPv6, payloads compared',
  seconds: 240,
  async run(lab) {
    const guest = await lab.guestOn(await lab.network(), 1);
    for (const address of [HOST.v4, HOST.v6]) {
      lab.step(`ping ${address}, ${SIZES.length} sizes`);
      // IPv6's header is 20 bytes longer: its largest is a fragment more.
      const loop = `for s in ${SIZES.join(' ')}; do ping -c 1 -W 10 -s $s ${address} || exit 1; done`;
      // iputils' ping compares what comes back and says "wrong data byte".
      assert.doesNotMatch(
        await guest.ok(`(${loop}) | grep -v '^64 bytes'`, 200),
        /wrong data|100% packet loss/,
      );
      lab.step(`ping ${address}, 60,000 bytes`);
      const large = await guest.ok(`ping -c 5 -i 0.3 -W 10 -s 60000 ${address}`);
      assert.match(large, / 5 received, 0% packet loss/);
      assert.doesNotMatch(large, /wrong data/);
    }
  },
};

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
