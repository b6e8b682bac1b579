import assert from 'node:assert/strict';
import { NETTXF_extra_info, NETTXF_more_data } from '../../../src/abi/netif.js';
import type { Lab } from '../dom0/lab.js';
import { Liar } from '../dom0/liar.js';
import { addressesOf, HOST } from '../dom0/network.js';
import { until } from '../dom0/place.js';
import type { Scenario } from '../scenario.js';

/** A reference that no table has, and one that is there but nobody's. */
const BEYOND = 0xfffffff0;
const NOBODYS = 1000;
const ERROR = -1;

/** What it does, and, if that breaks the ring's protocol, what the error node says. */
interface Lie {
  readonly what: string;
  readonly fenced?: RegExp;
  tell(liar: Liar): Promise<void> | void;
}

/** All requests are answered: with an error where `refused` says so. */
async function answered(liar: Liar, refused: (index: number) => boolean): Promise<void> {
  const { prod } = liar;
  await until('its requests are answered', () => liar.answered === prod);
  for (let i = Math.max(0, prod - 256); i < prod; i++)
    assert.equal(liar.status(i) === ERROR, refused(i), `request ${i} of ${prod}: ${liar.status(i)}`);
}

const LIES: readonly Lie[] = [
  {
    what: 'bad references between good ones',
    tell: async (liar) => {
      for (let i = 0; i < 96; i++) {
        const good = liar.frame(i % 8, 1000);
        liar.put(i % 3 === 1 ? { ...good, gref: i % 2 ? BEYOND : NOBODYS } : good);
      }
      liar.publish();
      await answered(liar, (i) => i % 3 === 1);
    },
  },
  {
    what: 'grants revoked with frames in flight',
    tell: async (liar) => {
      for (let i = 0; i < 200; i++) liar.put(liar.frame(i % 8, 1400));
      liar.publish();
      liar.revoke();
      for (let i = 0; i < 40; i++) liar.put({ gref: liar.references[i % 8], size: 1400 });
      liar.publish();
      await until('its requests are answered', () => liar.answered === 240);
      for (let i = 200; i < 240; i++) assert.equal(liar.status(i), ERROR, `request ${i}`);
    },
  },
  {
    what: 'buffers to receive into that are not to be written, or not there',
    tell: async (liar) => {
      liar.post(liar.references[0], 64);
      liar.post(BEYOND, 64);
      liar.post(NOBODYS, 64);
      liar.put(liar.frame(1));
      liar.publish();
      await answered(liar, () => false);
    },
  },
  {
    what: 'an index that jumps',
    fenced: /more requests than the ring holds/,
    tell: (liar) => {
      liar.put(liar.frame(0));
      liar.publish(liar.prod + 100_000);
    },
  },
  {
    what: 'an index of the other ring that jumps',
    fenced: /more requests than the ring holds/,
    tell: (liar) => liar.publishRx(0x80000000),
  },
  {
    what: 'an endless chain',
    fenced: /too many slots/,
    tell: (liar) => {
      liar.putChain(200, true);
      liar.publish();
    },
  },
  {
    what: 'a slot over the end of its page',
    fenced: /beyond its page/,
    tell: (liar) => {
      liar.put({ gref: liar.references[0], offset: 4090, size: 100 });
      liar.publish();
    },
  },
  {
    what: 'extra infos of a kind that is not',
    fenced: /extra-info type/,
    tell: (liar) => {
      liar.put({ gref: liar.references[0], flags: NETTXF_extra_info, size: 60 });
      liar.put({ gref: 0xffffffff, offset: 0xffff, flags: 0xffff, size: 0xffff });
      liar.publish();
    },
  },
  {
    what: 'chains of the most slots, of bad references',
    tell: async (liar) => {
      for (let chain = 0; chain < 10; chain++) {
        for (let i = 0; i < 18; i++) {
          const flags = i < 17 ? NETTXF_more_data : 0;
          liar.put({ gref: BEYOND - i, flags, size: i === 0 ? 60 + 17 : 1 });
        }
      }
      liar.publish();
      await answered(liar, () => true);
    },
  },
  {
    what: 'a storm of events',
    tell: (liar) => liar.storm(100_000),
  },
];

export const scenario: Scenario = {
  about:
    'a front end that lies: it is cut off with an error node, or answered with errors; dom0 and a guest go on',
  seconds: 400,
  async run(lab) {
    const network = await lab.network();
    const guest = await lab.guestOn(network, 1);
    for (const [i, lie] of LIES.entries()) {
      lab.step(lie.what);
      const liar = await Liar.connect(0x40 + i);
      try {
        await lie.tell(liar);
        if (lie.fenced) {
          const error = await until('it is cut off', () => liar.error());
          assert.match(error, lie.fenced, lie.what);
        } else {
          assert.equal(await liar.error(), undefined, lie.what);
        }
        await unharmed(lab, guest);
      } finally {
        await liar.close();
      }
    }
    const { stdout } = await lab.dom0.run('dmesg | grep -iE "BUG|oops|general protection|stuck"');
    assert.equal(stdout, '');
  },
};

async function unharmed(lab: Lab, guest: Awaited<ReturnType<Lab['guestOn']>>): Promise<void> {
  assert.match(await guest.ok(`ping -c 3 -i 0.3 -W 5 ${HOST.v4}`), / 0% packet loss/);
  assert.match(await lab.dom0.ok(`ping -c 2 -i 0.3 -W 5 ${addressesOf(1).v4}`), / 0% packet loss/);
}
