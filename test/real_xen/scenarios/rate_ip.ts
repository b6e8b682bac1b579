import assert from 'node:assert/strict';
import type { Vif } from '../../../src/daemon/api.js';
import { arp, BROADCAST, frame, ipv4, ipv6, ND, nd, option } from '../../hook/support/frames.js';
import { type Guest, macOf } from '../dom0/guest.js';
import { addressesOf, HOST, onlyNetferry } from '../dom0/network.js';
import { until } from '../dom0/place.js';
import type { Scenario } from '../scenario.js';

/** What xl writes for `rate=200KB/s@20ms`: bytes in each interval of µs (xl-network-configuration(5), rate). */
const LINE = { rate: '200KB/s@20ms', node: '4000,20000', bytes: 200_000 };
/** The same guest later, by hand. */
const LATER = { node: '40000,50000', bytes: 800_000 };
/** Linux netback's least burst, and ours. */
const BURST = 131_072;
/** Frames of each kind, sent one by one. */
const TIMES = 5;

const ICMPV6 = 58;
const ARP = 0x0806;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;

const mine = macOf(1);
const others = macOf(2);
const { v4, v6 } = addressesOf(1);
const victim = addressesOf(2);

const discovery = (type: number, target: string, mac: string) =>
  ipv6(v6, 'ff02::1', ICMPV6, nd(type, target, option(type === ND.advert ? 2 : 1, mac)));

// biome-ignore format: one row a case
/** What g1 sends by its own MAC to everybody; why it is dropped, if it is. */
const FRAMES: readonly (readonly [what: string, type: number, payload: Uint8Array, why: string | undefined])[] = [
  ['ARP of its own', ARP, arp(2, mine, v4, v4), undefined],
  ['ARP with another’s IP', ARP, arp(2, mine, victim.v4, victim.v4), 'spoofed-arp'],
  ['ARP with the host’s IP', ARP, arp(1, mine, HOST.v4, victim.v4), 'spoofed-arp'],
  ['ARP with another’s MAC', ARP, arp(2, others, v4, v4), 'spoofed-arp'],
  ['IPv4 from another', IPV4, ipv4(victim.v4, HOST.v4), 'spoofed-ip'],
  ['IPv6 from another', IPV6, ipv6(victim.v6, HOST.v6, 17, new Uint8Array(8)), 'spoofed-ip'],
  ['ND of its own', IPV6, discovery(ND.advert, v6, mine), undefined],
  ['ND for another’s address', IPV6, discovery(ND.advert, victim.v6, mine), 'spoofed-nd'],
  ['ND with another’s MAC', IPV6, discovery(ND.solicit, HOST.v6, others), 'spoofed-nd'],
  ['ND of a router', IPV6, discovery(ND.routerAdvert, '::', mine), 'spoofed-nd'],
  ['a redirect', IPV6, discovery(ND.redirect, victim.v6, mine), 'spoofed-nd'],
];

export const scenario: Scenario = {
  about: 'ip: spoofed IPv4, IPv6, ARP and ND are dropped, each counted by its name; rate: bytes over time',
  seconds: 400,
  async run(lab) {
    onlyNetferry(lab.backend);
    const { dom0 } = lab;
    const network = await lab.network();
    const daemon = network.daemon ?? assert.fail();
    const line = network.vif(1, 0, `ip=${v4} ${v6},rate=${LINE.rate}`);
    const guest = await lab.guestOn(network, 1, { vifs: [line] });
    const other = await lab.guestOn(network, 2);
    const row = async () => (await daemon.vifs()).find(({ domid }) => domid === guest.domid) ?? assert.fail();
    const settled = async () => {
      // Its stack says this and that when the link comes up.
      await guest.ok('sleep 3');
      return row();
    };

    const pings = await other.start(`ping -i 0.5 -c 100000 ${HOST.v4}`);
    for (const [what, type, payload, why] of FRAMES) {
      lab.step(`${what}: ${why ?? 'passes'}`);
      const before = await settled();
      await sendRaw(guest, frame(BROADCAST, mine, type, payload));
      const after = await until('all are seen', async () => {
        const now = await row();
        return counted(now) >= counted(before) + TIMES && now;
      });
      for (const [name, n] of Object.entries(dropsOf(after)))
        assert.equal(n - (dropsOf(before)[name] ?? 0), name === why ? TIMES : 0, `${what}: ${name}`);
      assert.equal(dropsOf(after)[why ?? ''] === undefined, why === undefined, what);
    }
    assert.match(await dom0.ok(`ip neigh show ${victim.v4}`), new RegExp(others), 'nobody was fooled');
    assert.doesNotMatch(await dom0.ok('ip -6 route show default'), /default/);
    await pings.kill();
    assert.match(await other.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received/);
    assert.match(await guest.ok(`ping -c 3 -i 0.3 ${HOST.v6}`), / 3 received/);

    lab.step(`rate=${LINE.rate}`);
    const node = `${guest.backend()}/rate`;
    assert.equal((await dom0.ok(`xenstore-read ${node}`)).trim(), LINE.node);
    const limited = await sent(guest, row, 10);
    within(limited, LINE.bytes);
    assert.match(await other.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received/);

    lab.step(`rate ${LATER.node} by xenstore`);
    await dom0.ok(`xenstore-write ${node} ${LATER.node}`);
    await until('it counts', () => /g1\/0: its nodes changed/.test(daemon.log()));
    await until('it is connected again', async () => (await row()).state === 'connected');
    const later = await sent(guest, row, 10);
    within(later, LATER.bytes);
    lab.figures('rate-ip', { limited, later });
  },
};

interface Sent {
  readonly bytes: number;
  /** Between the two looks. */
  readonly seconds: number;
  readonly waits: number;
}

/** What passes of more UDP than the rate allows. */
async function sent(guest: Guest, row: () => Promise<Vif>, seconds: number): Promise<Sent> {
  const flood = `while :; do head -c 1000000 /dev/zero; done | socat -u -b 1400 STDIN UDP4-SENDTO:${HOST.v4}:9`;
  const task = await guest.start(flood);
  const begin = performance.now();
  const { in: before } = (await row()).counters ?? assert.fail();
  await guest.ok(`sleep ${seconds}`);
  const { in: after } = (await row()).counters ?? assert.fail();
  const took = (performance.now() - begin) / 1000;
  await task.kill();
  return { bytes: after.bytes - before.bytes, seconds: took, waits: after.limited - before.limited };
}

/** The bucket's own bound, and half of it at least. */
function within({ bytes, seconds, waits }: Sent, rate: number): void {
  assert.ok(bytes <= BURST + rate * (seconds + 0.05), `${bytes} bytes in ${seconds} s, ${rate} B/s allowed`);
  assert.ok(bytes >= 0.5 * rate * seconds, `${bytes} bytes in ${seconds} s of ${rate} B/s`);
  assert.ok(waits > 0, 'it waited for credit');
}

/** Some of the same frame, as they are (socat's INTERFACE is a packet socket). */
async function sendRaw(guest: Guest, bytes: Uint8Array): Promise<void> {
  const hex = Buffer.from(bytes).toString('hex');
  const one = `echo ${hex} | xxd -r -p | socat -u STDIN INTERFACE:eth0`;
  await guest.ok(`for i in $(seq ${TIMES}); do ${one} || exit 1; done`);
}

const dropsOf = (vif: Vif): Readonly<Record<string, number>> => vif.counters?.drops ?? {};

/** Frames that it has sent, dropped or not. */
function counted(vif: Vif): number {
  return vif.counters?.in.frames ?? 0;
}
