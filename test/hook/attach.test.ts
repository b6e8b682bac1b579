/**
 * Attachment to an interface beside others' programs, by TCX and by clsact, in a network namespace of the test's
 * own; the hook lives in a process that can be killed.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { HookOptions } from '../../src/hook/options.js';
import { type Background, lacking, Place, until } from '../e2e/support/place.js';
import { Foreign } from './support/foreign.js';
import { HookProcess, HookRefusal, keeper } from './support/lan.js';

const PROGRAMS = ['bpftool', 'tc', 'ip', 'nsenter', 'setpriv'];

/** A refusal with these words, and these in the hint. */
function refusal(message: RegExp, hint = /(?:)/) {
  return (error: unknown) => {
    assert.ok(error instanceof HookRefusal, String(error));
    assert.match(error.message, message);
    assert.match(error.hint, hint);
    return true;
  };
}

interface Listed {
  tcx: string[];
  filters: { ingress: string[]; egress: string[] };
  qdisc: boolean;
}

for (const mode of ['tcx', 'clsact'] as const) {
  describe(`attachment by ${mode}`, { skip: lacking(...PROGRAMS) }, () => {
    let held: Background;
    let host: Place;
    const hooks: HookProcess[] = [];
    before(async () => {
      held = await keeper();
      host = new Place(held.pid);
    });
    after(async () => {
      for (const hook of hooks) await hook.end('SIGKILL');
      await held?.stop('SIGKILL');
    });

    /** For what TCX has not. */
    const clsactTest = mode === 'clsact' ? test : () => undefined;

    /** A fresh pair of interfaces; its first end. */
    let made = 0;
    async function link(): Promise<string> {
      const name = `up${made++}`;
      await host.run(
        `ip link add ${name} type veth peer name x${name} && ip link set ${name} up && ip link set x${name} up`,
      );
      return name;
    }

    async function open(uplink: string, options: Partial<HookOptions> = {}): Promise<HookProcess> {
      const hook = new HookProcess(host);
      hooks.push(hook);
      assert.equal(await hook.call('new', { uplink, mode, ...options }), options.mode ?? mode);
      return hook;
    }

    /** What is attached, in the order it runs, by the names of programs (and filters). */
    async function listed(name: string): Promise<Listed> {
      const filters = async (side: string) => {
        const text = await host.run(`tc filter show dev ${name} ${side} 2>/dev/null || true`);
        return [...text.matchAll(/handle \S+ (\S+) direct-action/g)].map(([, filter]) => filter);
      };
      return {
        tcx: await tcxPrograms(host, name),
        filters: { ingress: await filters('ingress'), egress: await filters('egress') },
        qdisc: (await host.run(`tc qdisc show dev ${name}`)).includes('clsact'),
      };
    }

    const NOTHING: Listed = { tcx: [], filters: { ingress: [], egress: [] }, qdisc: false };

    test('both programs are there while it is open, and nothing after close', async () => {
      const name = await link();
      const hook = await open(name);
      const open_ = await listed(name);
      if (mode === 'tcx') assert.deepEqual(open_.tcx, ['ingress netferry_in', 'egress netferry_out']);
      else {
        assert.match(open_.filters.ingress.join(), /^netferry\/\d+\/\d+\/\d+\/qdisc$/);
        assert.match(open_.filters.egress.join(), /^netferry\/\d+\/\d+\/\d+\/qdisc$/);
        assert.match(await host.run(`tc filter show dev ${name} egress`), /name netferry_out/);
      }
      assert.deepEqual(await hook.call('detached'), []);
      await hook.call('close');
      await hook.call('close');
      assert.deepEqual(await listed(name), NOTHING);
    });

    test('nothing is left when the process ends by itself', async () => {
      const name = await link();
      const hook = await open(name);
      await hook.end();
      assert.deepEqual(await listed(name), NOTHING);
    });

    test('a killed process leaves nothing, or what the next one takes away', async () => {
      const name = await link();
      const first = await open(name);
      await first.end('SIGKILL');
      if (mode === 'tcx') {
        await until('the links are gone', async () => (await tcxPrograms(host, name)).length === 0);
      } else assert.equal((await listed(name)).filters.ingress.length, 1);
      const second = await open(name);
      const now = await listed(name);
      if (mode === 'tcx') assert.equal(now.tcx.length, 2);
      else assert.deepEqual([now.filters.ingress.length, now.filters.egress.length], [1, 1]);
      await second.call('close');
      assert.deepEqual(await listed(name), NOTHING, 'the qdisc too, which the first had made');
    });

    clsactTest('what a killed process left is taken away by one that attaches by TCX, too', async () => {
      const name = await link();
      await (await open(name)).end('SIGKILL');
      assert.equal((await listed(name)).filters.ingress.length, 1);
      const hook = new HookProcess(host);
      hooks.push(hook);
      assert.equal(await hook.call('new', { uplink: name }), 'tcx');
      assert.deepEqual(await listed(name), {
        ...NOTHING,
        tcx: ['ingress netferry_in', 'egress netferry_out'],
      });
      await hook.call('close');
    });

    test('one netferry an interface, as uplink or port', async () => {
      const name = await link();
      const hook = await open(name);
      await assert.rejects(
        open(name),
        refusal(/belongs to another netferry already/, /one daemon an interface/),
      );
      const other = await open(await link());
      await assert.rejects(other.call('addPort', { name }), refusal(/belongs to another netferry already/));
      assert.deepEqual(await other.call('ports'), []);
      assert.deepEqual(await hook.call('detached'), [], 'the first is untouched');
      await hook.call('close');
      await other.call('addPort', { name });
      await other.call('close');
      assert.deepEqual(await listed(name), NOTHING);
    });

    test('one netferry an interface, though the other attaches the other way', async () => {
      const other = mode === 'tcx' ? 'clsact' : 'tcx';
      const belongs = refusal(/belongs to another netferry already/, /one daemon an interface/);
      const [name, port, unused] = [await link(), await link(), await link()];
      const hook = await open(name);
      await hook.call('addPort', { name: port });
      const before = [await listed(name), await listed(port)];
      for (const taken of [name, port]) await assert.rejects(open(taken, { mode: other }), belongs);
      const second = await open(unused, { mode: other });
      for (const taken of [name, port])
        await assert.rejects(second.call('addPort', { name: taken }), belongs);
      assert.deepEqual([await listed(name), await listed(port)], before, 'the first is untouched');
      assert.deepEqual(await hook.call('detached'), []);
      await hook.end('SIGKILL');
      if (mode === 'tcx') await until('it is gone', async () => (await tcxPrograms(host, port)).length === 0);
      // What a killed one left on an interface that comes later is no hindrance, and does not stay.
      await second.call('addPort', { name: port });
      const theirs = await listed(port);
      assert.equal(theirs.tcx.length + theirs.filters.ingress.length, 1);
      await second.call('close');
      assert.deepEqual([await listed(port), await listed(unused)], [NOTHING, NOTHING]);
    });

    test('two that start at once by different ways are never both on one uplink', async () => {
      const name = await link();
      for (let round = 0; round < 5; round++) {
        const ways = ['tcx', 'clsact'] as const;
        const both = await Promise.allSettled(ways.map((way) => open(name, { mode: way })));
        const there = both.filter(({ status }) => status === 'fulfilled').length;
        assert.ok(there <= 1, `${there} of them in round ${round}`);
        for (const one of hooks.splice(-2)) await one.end();
        assert.deepEqual(await listed(name), NOTHING);
      }
    });

    test('others’ programs stay, and run where they are asked to', async () => {
      const name = await link();
      const foreign = await Foreign.start(host, name, mode);
      const orders = ['first', 'last', { before: foreign.id }, { after: foreign.id }] as const;
      for (const order of orders) {
        const hook = await open(name, { orders: { ingress: order } });
        const { tcx, filters } = await listed(name);
        const ours = mode === 'tcx' ? 'ingress netferry_in' : 'netferry';
        const list = mode === 'tcx' ? tcx.filter((line) => line.startsWith('ingress')) : filters.ingress;
        const before = order === 'first' || (typeof order === 'object' && 'before' in order);
        assert.equal(list.length, 2);
        assert.equal(
          list.findIndex((line) => line.startsWith(ours)),
          before ? 0 : 1,
          JSON.stringify(order),
        );
        // An uplink that leaves what it does not know to the next shows it to the foreign program, before or behind.
        const seen = await foreign.count();
        await host.run(`ip link set x${name} down && ip link set x${name} up`); // IPv6 says hello
        await until('the foreign program runs', async () => (await foreign.count()) > seen);
        await hook.call('close');
        const after = await listed(name);
        assert.deepEqual(after.filters.egress, []);
        assert.deepEqual(
          mode === 'tcx' ? after.tcx : after.filters.ingress,
          mode === 'tcx' ? ['ingress foreign'] : ['foreign'],
        );
        assert.equal(after.qdisc, mode === 'clsact', 'a qdisc of others stays');
      }
      await foreign.stop();
    });

    clsactTest('a qdisc of ours that others came to use stays with them', async () => {
      const name = await link();
      const hook = await open(name);
      await host.run(`tc filter add dev ${name} egress prio 9 protocol ip u32 match u32 0 0 flowid 1:1`);
      await hook.call('close');
      assert.equal((await listed(name)).qdisc, true);
      assert.match(await host.run(`tc filter show dev ${name} egress`), /u32/);
    });

    clsactTest('what a process that cannot be seen left is nobody’s to sweep', async () => {
      const name = await link();
      // A pid namespace of its own, as a container that shares the host's network has it.
      const hook = new HookProcess(host, ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child']);
      hooks.push(hook);
      await hook.call('new', { uplink: name, mode });
      const before = await listed(name);
      await assert.rejects(open(name), refusal(/process \d+ of another pid namespace/, /one daemon/));
      assert.deepEqual(await listed(name), before);
      await hook.call('close');
      assert.deepEqual(await listed(name), NOTHING);
    });

    clsactTest('an ingress qdisc in the way of clsact is named', async () => {
      const name = await link();
      await host.run(`tc qdisc add dev ${name} ingress`);
      await assert.rejects(open(name), refusal(/has an ingress qdisc/, /tc qdisc del/));
      const hook = await open(await link());
      await hook.call('addPort', { name }); // a port needs its receive side alone
      assert.deepEqual(await hook.call('detached'), []);
      await hook.call('close');
      assert.match(await host.run(`tc qdisc show dev ${name}`), /ingress/);
    });

    test('an interface that vanishes is noticed, and closing afterwards is quiet', async () => {
      const [name, port] = [await link(), await link()];
      const hook = await open(name);
      const id = await hook.call<number>('addPort', { name: port, macs: ['02:00:00:00:00:31'] });
      await host.run(`ip link del ${port}`);
      assert.deepEqual(await hook.call('detached'), [port]);
      await hook.call('removePort', id);
      await host.run(`ip link del ${name}`);
      assert.deepEqual(await hook.call('detached'), [name]);
      await host.run(`ip link add ${name} type veth peer name x${name} && ip link set ${name} up`);
      await hook.call('setUplink', name);
      assert.deepEqual(await hook.call('detached'), [], 'it came back');
      await host.run(
        `ip link set ${name} down && ip link set ${name} name renamed${made} && ip link set renamed${made} up`,
      );
      assert.deepEqual(await hook.call('detached'), [], 'a rename is nothing');
      await host.run(`ip link del renamed${made}`);
      await hook.call('close');
    });

    test('an uplink whose MAC a port has is refused, and the port keeps it', async () => {
      const [name, port, other] = [await link(), await link(), await link()];
      const { address } = JSON.parse(await host.run(`ip -j link show ${name}`))[0];
      const hook = new HookProcess(host);
      hooks.push(hook);
      await hook.call('new', { mode });
      await hook.call('addPort', { name: port, macs: [address] });
      const belongs = refusal(new RegExp(`${address}.* belongs to ${port} \\(${address}\\) already`));
      await assert.rejects(hook.call('setUplink', name), belongs);
      assert.deepEqual(await listed(name), NOTHING);
      await assert.rejects(hook.call('addPort', { name: other, macs: [address] }), belongs);
      await hook.call('removeMac', address);
      await hook.call('setUplink', name);
      assert.deepEqual(await hook.call('detached'), []);
      await hook.call('setUplink');
      assert.deepEqual(await listed(name), NOTHING);
      await hook.call('close');
    });

    test('what cannot be an uplink or port is refused, with why', async () => {
      const name = await link();
      await host.run(
        'ip link add br0 type bridge && ip link add member type veth peer name xmember && ip link set member master br0',
      );
      const hook = await open(name);
      for (const [device, message, hint] of [
        ['nosuch', /no interface "nosuch" in this network namespace/, /another namespace/],
        ['lo', /loopback/, /(?:)/],
        ['member', /member belongs to a bridge already/, /ip link set member nomaster/],
      ] as const) {
        await assert.rejects(hook.call('addPort', { name: device }), refusal(message, hint));
        await assert.rejects(open(device), refusal(message, hint));
      }
      await assert.rejects(hook.call('addPort', { name, macs: [] }), refusal(/belongs to another netferry/));
      const port = await link();
      const wrong: [options: object, message: RegExp][] = [
        [{ macs: ['01:00:5e:00:00:01'] }, /group address/],
        [{ macs: ['00:00:00:00:00:00'] }, /no MAC of anybody/],
        [{ macs: ['02:00'] }, /not a MAC address/],
        [{ addresses: ['10.0.0.1/24'] }, /is not an IP address/],
        [{ peer: true }, /no veth whose other end is in another namespace/],
        [
          { macs: ['02:00:00:00:00:41', '02:00:00:00:00:42'], order: { before: 999999 } },
          mode === 'tcx' ? /ENOENT/ : /no filter of eBPF program 999999/,
        ],
      ];
      for (const [options, message] of wrong) {
        await assert.rejects(hook.call('addPort', { name: port, ...options }), refusal(message));
        assert.deepEqual(await hook.call('ports'), [], 'nothing half-attached');
        assert.deepEqual(await listed(port), NOTHING);
      }
      const { address: mac } = JSON.parse(await host.run(`ip -j link show ${name}`))[0];
      await assert.rejects(hook.call('addPort', { name: port, macs: [mac] }), refusal(/the host's own MAC/));
      await hook.call('addPort', { name: port, macs: ['02:00:00:00:00:41'] });
      await assert.rejects(hook.call('addPort', { name: port }), refusal(/is a port already/));
      const second = await link();
      await assert.rejects(
        hook.call('addPort', { name: second, macs: ['02:00:00:00:00:42', '02:00:00:00:00:41'] }),
        refusal(/02:00:00:00:00:41 belongs to up\d+ \(02:00:00:00:00:41\) already/),
      );
      assert.equal((await hook.call<unknown[]>('ports')).length, 1);
      await hook.call('close');
    });
  });
}

/** `side name` of each TCX program on an interface, by bpftool's list of links: `net` of older ones shows no TCX. */
async function tcxPrograms(host: Place, name: string): Promise<string[]> {
  const found: string[] = [];
  const script = `
    import { linkIndex } from '${new URL('../../src/sys/netlink.js', import.meta.url)}';
    import { programName, tcxQuery } from '${new URL('../../src/sys/bpf.js', import.meta.url)}';
    const index = linkIndex('${name}');
    for (const [side, type] of [['ingress', 46], ['egress', 47]])
      for (const { id } of index ? tcxQuery(index, type).programs : []) console.log(side, programName(id));`;
  const text = await host.run([process.execPath, '--input-type=module', '-e', script]);
  for (const line of text.split('\n')) if (line) found.push(line);
  return found;
}
