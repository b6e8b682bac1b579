/**
 * What is looked at after interfaces changed, and what is not, in a network namespace of their own: the outer half
 * runs this same file under unshare(1), the inner half is the tests.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BPF_TCX_INGRESS } from '../../src/abi/bpf.js';
import { AddressBook } from '../../src/daemon/addresses.js';
import { Hurry } from '../../src/daemon/hurry.js';
import { InterfaceCare } from '../../src/daemon/interface_care.js';
import { KernelPort } from '../../src/daemon/kernel_port.js';
import { UplinkKeeper } from '../../src/daemon/uplink_keeper.js';
import type { Mode } from '../../src/hook/attachment.js';
import { Hook } from '../../src/hook/hook.js';
import { tcxQuery } from '../../src/sys/bpf.js';
import { InterfaceChanges, InterfaceEvents } from '../../src/sys/interface_events.js';
import { linkIndex } from '../../src/sys/netlink.js';
import { inOwnNamespace, sh } from '../support/own_netns.js';

const PORTS = 36;

inOwnNamespace(import.meta.url, ['tc', 'bpftool'], () => {
  for (const mode of ['tcx', 'clsact'] as const) inside(mode);
});

/** Says which interfaces were looked at. */
class WatchedHook extends Hook {
  asked: (ReadonlySet<number> | undefined)[] = [];
  override lost(among?: ReadonlySet<number>): Set<number> {
    this.asked.push(among);
    return super.lost(among);
  }
  /** Of which ports it was asked to forget. */
  deserted: (readonly number[])[] = [];
  elapse = () => {};
  override forgetBehind(ids: readonly number[]): void {
    this.deserted.push(ids);
    this.elapse();
    super.forgetBehind(ids);
  }
}

function inside(mode: Mode): void {
  describe(mode, () => {
    const said: string[] = [];
    const note = (text: string) => void said.push(text);
    const log = { info: note, warn: note, error: note };
    let events: InterfaceEvents;
    let hook: WatchedHook;
    let ports: KernelPort[];
    let uplink: UplinkKeeper;
    let care: InterfaceCare;
    let now: number;
    const hurry = new Hurry('/proc/nosuch'); // no place for its mark: it makes no difference

    /** As after what happened, or as each second. */
    const look = (polled = false) => {
      const changes = new InterfaceChanges();
      assert.equal(events.take(changes), true);
      while (!care.look(hook, changes, polled));
      return changes;
    };

    beforeEach(() => {
      const lines = Array.from(
        { length: PORTS },
        (_, i) => `link add m${i} group 9 type veth peer name n${i}`,
      );
      sh('ip link add up0 type veth peer name wire0');
      sh(`echo '${lines.join('\n')}' | ip -batch -`);
      said.length = 0;
      hook = new WatchedHook({ uplink: 'up0', mode });
      const book = new AddressBook([]);
      uplink = new UplinkKeeper('up0', book, log);
      uplink.adopt(hook);
      ports = lines.map(
        (_, i) => new KernelPort({ device: `m${i}`, macs: [`02:00:00:00:00:${16 + i}`] }, book),
      );
      for (const port of ports) port.enter(hook);
      now = 0;
      care = new InterfaceCare({ uplink, ports, ageing: 300, log, hurry, clock: () => now });
      events = new InterfaceEvents();
      look();
      hook.asked = [];
    });
    afterEach(() => {
      events.close();
      hook.close();
      sh(
        'ip -o link | sed -E "s/^[0-9]+: ([^:@]+).*/\\1/" | grep -vx lo | xargs -rn1 ip link del 2>/dev/null; true',
      );
    });

    test('interfaces that are none of ours: nothing of ours is looked at', () => {
      sh('ip link add r1 type veth peer name r2 && ip link set r1 up && ip link set r2 up && ip link del r1');
      const changes = look();
      assert.ok(changes.indexes.size >= 2);
      assert.deepEqual(hook.asked, [changes.indexes]);
      const ours = new Set([hook.uplink?.ifindex, ...hook.ports().map(({ ifindex }) => ifindex)]);
      assert.ok([...changes.indexes].every((index) => !ours.has(index)));
      assert.deepEqual(said, []);
    });

    test('what is told of is noticed at once: a port’s and the uplink’s new names, their end, their return', () => {
      sh('ip link set m7 down && ip link set m7 name r7');
      look();
      assert.equal(ports[7].device, 'r7');
      sh('ip link set up0 name r0');
      look();
      assert.equal(uplink.name, 'r0');
      sh('ip link del r7 && ip link del r0');
      look();
      assert.equal(ports[7].present, false);
      assert.equal(ports.filter(({ present }) => present).length, PORTS - 1);
      assert.equal(hook.uplink, undefined);
      sh('ip link add r8 type veth peer name r9');
      look();
      assert.equal(ports[7].present, false, 'another is not it');
      sh('ip link add m7 type veth peer name n7 && ip link add up0 type veth peer name wire0');
      look();
      assert.equal(ports[7].present, true);
      assert.equal(uplink.info(hook).absent, null);
      assert.match(said.join('\n'), /port m7: m7 is back/);
    });

    test('programs that somebody takes away', () => {
      const taken = ports[20];
      const index = linkIndex('m20') ?? 0;
      if (mode === 'tcx') {
        const [{ link }] = tcxQuery(index, BPF_TCX_INGRESS).programs;
        sh(`bpftool link detach id ${link}`);
        look();
        assert.deepEqual([...hook.lost()], [index], 'no event tells of it');
        look(true);
      } else {
        sh('tc filter del dev m20 ingress');
        look();
      }
      assert.deepEqual([...hook.lost()], []);
      assert.match(said.join('\n'), /the program on m20 was taken away.*\n.*m20 is back/);
      assert.equal(taken.present, true);
    });

    test('more than could be told: all is looked at', () => {
      sh('ip link set m3 down && ip link set m3 name r3 && ip link del m4');
      care.look(hook, undefined, false);
      assert.deepEqual(hook.asked, [undefined]);
      assert.equal(ports[3].device, 'r3');
      assert.equal(ports[4].present, false);
    });

    test('all ports go and come back at once: no look takes long, and none is forgotten', () => {
      sh('ip link del group 9');
      const lines = ports.map((_, i) => `link add m${i} group 9 type veth peer name n${i}`);
      sh(`echo '${lines.join('\n')}' | ip -batch -`);
      const changes = new InterfaceChanges();
      assert.equal(events.take(changes), true);
      const taken: number[] = [];
      for (let done = false; !done; ) {
        const begun = performance.now();
        done = care.look(hook, changes, false);
        taken.push(performance.now() - begun);
        assert.ok(taken.length < 200);
      }
      assert.ok(ports.every(({ present }) => present));
      assert.equal(hook.ports().length, PORTS);
      assert.equal(said.filter((line) => /: m\d+ is back$/.test(line)).length, PORTS);
      // The budget, and what was begun within it; a machine that is busy with others may take longer over that.
      const longest = Math.max(...taken);
      const all = taken.reduce((sum, ms) => sum + ms, 0);
      assert.ok(longest < 1000 || longest < all / 2, `${taken.map(Math.round).join(', ')} ms`);
    });

    test('learning ports without carrier: what was learned behind them is forgotten, once a look for all', async () => {
      const learners = ['l1', 'l2'].map((device) => {
        sh(`ip link add ${device} type veth peer name ${device}peer`);
        const port = new KernelPort({ device, learn: 8 }, new AddressBook([]));
        port.enter(hook);
        ports.push(port);
        return port;
      });
      look();
      for (const device of ['l1peer', 'l2peer']) sh(`ip link set ${device} up`);
      const learned = () => new Set(hook.learned().map(({ port }) => port));
      // Each announces its link-local address.
      for (let tries = 0; learned().size < 2 && tries < 100; tries++) await sleep(100);
      look();
      assert.deepEqual(learned(), new Set(learners.map(({ id }) => id)));
      hook.deserted = [];
      sh('ip link set l1peer down && ip link set l2peer down');
      look();
      assert.deepEqual(learned(), new Set());
      assert.deepEqual(hook.deserted, [learners.map(({ id }) => id)]);
    });

    test('a learning port’s carrier comes and goes all the time: that makes no more of walks than they take pauses', () => {
      sh('ip link add l1 type veth peer name l1peer');
      const port = new KernelPort({ device: 'l1', learn: 8 }, new AddressBook([]));
      port.enter(hook);
      ports.push(port);
      const walks = (polled = false) => {
        hook.deserted = [];
        sh('ip link set l1peer up && ip link set l1peer down');
        look(polled);
        return hook.deserted;
      };
      hook.elapse = () => {
        now += 10;
      };
      assert.deepEqual(walks(), [[port.id]]);
      assert.deepEqual(walks(), []);
      assert.deepEqual(walks(true), [[port.id]], 'each second at least');
      now += 199;
      assert.deepEqual(walks(), []);
      now += 1;
      sh('ip link set l1peer up');
      hook.deserted = [];
      look();
      assert.deepEqual(hook.deserted, [[port.id]], 'what was put off is not forgotten');
      assert.deepEqual(walks(true), [[port.id]]);
    });

    test('a look each second sees the uplink, a turn of the ports, and what is away', () => {
      sh('ip link del m4');
      look();
      sh('ip link add m4 type veth peer name n4');
      events.take(new InterfaceChanges()); // as if it had been missed
      const all = new Set<number>();
      for (let turn = 0; turn < 2; turn++) {
        hook.asked = [];
        look(true);
        for (const index of hook.asked[0] ?? []) all.add(index);
        assert.ok(hook.asked[0]?.has(hook.uplink?.ifindex ?? 0));
        assert.ok((hook.asked[0]?.size ?? PORTS) < PORTS);
      }
      for (const { ifindex } of hook.ports()) assert.ok(all.has(ifindex), `${ifindex}`);
      assert.equal(ports[4].present, true);
    });
  });
}
