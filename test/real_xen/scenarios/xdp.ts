import assert from 'node:assert/strict';
import { addressesOf, HOST } from '../dom0/network.js';
import { until } from '../dom0/place.js';
import { streamHashed } from '../dom0/traffic.js';
import { XDP_DROP, XDP_PASS, xdpObject } from '../dom0/xdp_object.js';
import type { Scenario } from '../scenario.js';

/** linux/bpf.h XDP_PACKET_HEADROOM, which netfront asks for. */
const HEADROOM = '256';

const BYTES = 2_000_003;

export const scenario: Scenario = {
  about: 'XDP in a guest: netfront asks for headroom while it is connected, gets it, and gives it back',
  seconds: 300,
  async run(lab) {
    const { dom0 } = lab;
    const network = await lab.network();
    const guest = await lab.guestOn(network, 1);
    const load = async (verdict: number) => {
      const hex = xdpObject(verdict).toString('hex');
      await guest.ok(
        `echo ${hex} | xxd -r -p >/tmp/xdp.o && ip -force link set eth0 xdpdrv obj /tmp/xdp.o sec xdp`,
      );
    };
    const front = async (key: string) => (await dom0.ok(`xenstore-read ${guest.frontend()}/${key}`)).trim();
    const errors = async () => Number(await guest.ok('cat /sys/class/net/eth0/statistics/rx_errors'));
    const streams = async () => {
      const begin = performance.now();
      const before = await errors();
      await streamHashed(guest, dom0, { address: HOST.v4, bytes: BYTES });
      await streamHashed(dom0, guest, { address: addressesOf(1).v6, bytes: BYTES });
      return { seconds: (performance.now() - begin) / 1000, errors: (await errors()) - before };
    };
    const pings = async () => {
      for (const size of [0, 56, 1000, 1472])
        assert.match(await dom0.ok(`ping -c 3 -i 0.2 -W 5 -s ${size} ${addressesOf(1).v4}`), / 3 received/);
    };

    lab.step('it passes everything');
    await load(XDP_PASS);
    await until('headroom is asked for', async () => (await front('xdp-headroom')) === HEADROOM);
    await until('both ends are connected', async () => (await front('state')) === '4');
    await pings();
    const attached = await streams();
    lab.step('it drops everything');
    await load(XDP_DROP);
    assert.doesNotMatch((await dom0.run(`ping -c 2 -W 1 ${addressesOf(1).v4}`)).stdout, / [12] received/);
    lab.step('it is taken away');
    await guest.ok('ip link set eth0 xdpdrv off');
    await until('the headroom is given back', async () => (await front('xdp-headroom')) === '0');
    await pings();
    assert.equal(attached.errors, 0, 'netfront refuses frames of more than one slot while it has a program');
    lab.figures('xdp', { attached, without: await streams() });
  },
};
