/**
 * Kernel ports and vifs in user space have the same rules about senders: the same frames, those of the table and some
 * thousand that are made of them at random, through the hook's program and through a netback.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { loadProgram } from '../../src/hook/loader.js';
import { Maps } from '../../src/hook/maps.js';
import { PORT_CHECKED, SLOT_HOST } from '../../src/hook/programs/layout.js';
import { portIngress } from '../../src/hook/programs/port.js';
import { programTestRun } from '../../src/sys/bpf.js';
import { linkLocal, parseAddress } from '../../src/sys/inet.js';
import { close } from '../../src/sys/libc.js';
import { macBytes } from '../../src/sys/netlink.js';
import { lacking } from '../e2e/support/place.js';
import { dropsOf } from '../support/drops.js';
import { type HostileGuest, Machine } from '../support/machine.js';
import { pick, randomSource, seedOf } from '../support/random.js';
import { frame, snap } from './support/frames.js';
import { senderRows } from './support/sender_evasions.js';
import { HOST, MINE, STABLE, V4, V6 } from './support/senders.js';

const ME = 2;
const ADDRESSES = [V4, V6, STABLE];
const FRAMES = Number(process.env.NETFERRY_TEST_FRAMES ?? 6000);
const TAG_TYPES = [0x8100, 0x88a8, 0x9100, 0x9200, 0x9300];
/** Bytes that mean something somewhere in these frames. */
const TELLING = [0, 1, 2, 3, 4, 6, 17, 41, 43, 44, 45, 51, 58, 59, 60, 0x81, 0x86, 0x88, 133, 135, 136, 143, 0xaa, 0xff]; // biome-ignore format: one line

/** A port of the hook: why a frame is dropped, or undefined. */
class KernelSide {
  readonly #maps = new Maps();
  readonly #program: number;

  constructor() {
    this.#program = loadProgram(portIngress(ME), this.#maps.descriptors);
    const mac = macBytes(MINE);
    this.#maps.setMac(mac, ME);
    this.#maps.setMac(macBytes(HOST), SLOT_HOST);
    this.#maps.setPort(ME, { ifindex: 1, flags: PORT_CHECKED, mac, ipv4: parseAddress(V4).bytes });
    this.#maps.setConfig({ uplink: 1, fallback: 0, groups: 0, flags: 0 });
    for (const text of ADDRESSES) this.#maps.setAddress(ME, parseAddress(text).bytes, true);
    this.#maps.setAddress(ME, linkLocal(mac), true);
  }

  fate(data: Uint8Array): string | undefined {
    const before = this.#maps.counters(ME);
    programTestRun(this.#program, data);
    const now = this.#maps.counters(ME);
    const names = { dropSpoofedIp: 'spoofed-ip', dropSpoofedArp: 'spoofed-arp', dropSpoofedNd: 'spoofed-nd' };
    const risen = Object.entries(names).filter(([counter]) => {
      const name = counter as keyof typeof names;
      return now[name] > before[name];
    });
    assert.ok(risen.length <= 1);
    return risen[0]?.[1];
  }

  close(): void {
    close(this.#program);
    this.#maps.close();
  }
}

/** A vif of the user-space datapath: the same. */
class UserSide {
  readonly #machine = new Machine(1 << 28);
  readonly #guest: HostileGuest = this.#machine.addBareGuest('guest', {
    mac: macBytes(MINE),
    addresses: ADDRESSES,
  });
  readonly #host = this.#machine.addMemoryPort('host', { mac: macBytes(HOST) });

  fate(data: Uint8Array): string | undefined {
    const before = dropsOf(this.#machine.arena, this.#guest.netback);
    this.#guest.putPacket(data);
    this.#guest.publishTx();
    this.#machine.settle();
    const after = dropsOf(this.#machine.arena, this.#guest.netback);
    const why = Object.keys(after).find((name) => after[name] !== before[name]);
    assert.equal(this.#host.receive() === undefined, why !== undefined);
    return why;
  }

  close(): void {
    this.#machine.close();
  }
}

function hexOf(data: Uint8Array): string {
  return Buffer.from(data).toString('hex');
}

describe('senders, by the hook and in user space', { skip: lacking() }, () => {
  let kernel: KernelSide;
  let user: UserSide;
  before(() => {
    kernel = new KernelSide();
    user = new UserSide();
  });
  after(() => {
    kernel?.close();
    user?.close();
  });

  function agree(data: Uint8Array, name: string): string | undefined {
    const fate = kernel.fate(data);
    assert.equal(user.fate(data), fate, `${name}: ${hexOf(data)}`);
    return fate;
  }

  test('row by row, behind every number of tags, and in SNAP', () => {
    for (const [name, type, payload, why] of senderRows) {
      for (let tags = 0; tags <= 4; tags++) {
        const stack = TAG_TYPES.slice(0, tags).map((one): [number, number] => [one, tags]);
        const fate = agree(frame(HOST, MINE, type, payload, stack), name);
        // Four tags are not followed; behind three, what is far inside is not either.
        if (tags === 4) assert.equal(fate, 'spoofed-ip', name);
        else if (fate !== why) assert.ok(tags > 0 && fate !== undefined, `${name}: ${fate}`);
      }
      if (type < 0x0600) continue;
      const inside = snap(type, payload);
      const fate = agree(frame(HOST, MINE, inside.length % 0x600, inside), `${name}, in SNAP`);
      if (why !== undefined) assert.notEqual(fate, undefined, name);
    }
  });

  test(`${FRAMES} frames that are made of them`, () => {
    const seed = seedOf();
    const random = randomSource(seed);
    const fates = new Map<string, number>();
    for (let i = 0; i < FRAMES; i++) {
      const [name, type, payload] = pick(random, senderRows);
      const tags = Array.from({ length: random(5) }, (): [number, number] => [
        pick(random, TAG_TYPES),
        random(0x10000),
      ]);
      const data = frame(HOST, MINE, type, payload, tags);
      for (let changes = random(5); changes > 0; changes--) {
        const at = 12 + random(Math.min(data.length, 140) - 12);
        data[at] = random(3) === 0 ? random(256) : pick(random, TELLING);
      }
      // No shorter than an IP header's end: test runs refuse that.
      const length = random(4) === 0 ? 54 + random(data.length - 53) : data.length;
      const fate = agree(data.subarray(0, length), `seed ${seed}, ${name}`) ?? 'passed';
      fates.set(fate, (fates.get(fate) ?? 0) + 1);
    }
    for (const fate of ['passed', 'spoofed-ip', 'spoofed-arp', 'spoofed-nd']) {
      assert.ok((fates.get(fate) ?? 0) > FRAMES / 100, `${fate}: ${fates.get(fate)}`);
    }
  });
});
