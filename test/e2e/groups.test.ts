import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Ferry, type Guest, HOST } from './support/ferry.js';
import { lacking, type Place, sleep, until } from './support/place.js';

/** Prints a line for each datagram to port 4242; joins the group of argv[1] on the interface of argv[2]. */
const LISTENER = `
  const [, group, via] = process.argv;
  const socket = require('dgram').createSocket({ type: group.includes(':') ? 'udp6' : 'udp4', reuseAddr: true });
  socket.on('message', (data) => console.log(String(data)));
  socket.bind(4242, () => {
    if (via) socket.addMembership(group, via);
    console.log('ready');
  });`;
/** Sends argv[3] to argv[1] by the interface of argv[2], not looped back to the own machine. */
const SENDER = `
  const [, group, via, text] = process.argv;
  const socket = require('dgram').createSocket(group.includes(':') ? 'udp6' : 'udp4');
  socket.bind(0, () => {
    socket.setBroadcast(true);
    if (via) socket.setMulticastInterface(via);
    if (via) socket.setMulticastLoopback(false);
    socket.send(text, 4242, group, () => socket.close());
  });`;

const GROUPS = [
  { name: 'IPv4 multicast', group: '239.78.70.1', via: (place: { v4: string }) => place.v4 },
  { name: 'IPv6 multicast', group: 'ff02::4e46', via: (place: { link: string }) => `::%${place.link}` },
  { name: 'broadcast', group: '10.206.0.255', via: () => '' },
];

interface Member {
  readonly name: string;
  readonly place: Place;
  readonly v4: string;
  readonly link: string;
}

for (const threads of ['1', '3']) {
  describe(`group frames, datapath threads: ${threads}`, {
    skip: lacking('tcpdump', 'unshare', 'nsenter', 'ip'),
  }, () => {
    let ferry: Ferry;
    let members: Member[];
    before(async () => {
      ferry = await Ferry.start('--threads', threads);
      const guests: Guest[] = [];
      for (const name of ['a', 'b', 'c'])
        guests.push(await ferry.guest(name, ...(name === 'c' ? ['--queues', '2'] : [])));
      members = guests.map((guest) => ({ name: guest.info.name, place: guest, v4: guest.v4, link: 'eth0' }));
      members.push({ name: 'host', place: ferry.host, v4: HOST.v4, link: 'nf0' });
    });
    after(() => ferry?.stop());

    for (const { name, group, via } of GROUPS) {
      test(`${name}: once to every other member, never back`, async () => {
        const listeners = members.map((member) =>
          member.place.start([process.execPath, '-e', LISTENER, group, via(member)]),
        );
        // What comes in by an interface from the wire, not what its owner sends.
        const wires = members.map((member) =>
          member.place.start([
            'tcpdump',
            '-i',
            member.link,
            '-Q',
            'in',
            '-nn',
            '-l',
            '-A',
            'udp',
            'port',
            '4242',
          ]),
        );
        try {
          await until('all listen', () => listeners.every((listener) => listener.text().includes('ready')));
          await sleep(500); // tcpdump says only on stderr when it began
          for (const sender of members) {
            await sender.place.run([
              process.execPath,
              '-e',
              SENDER,
              group,
              via(sender),
              `from-${sender.name}`,
            ]);
          }
          await until('all have heard', () =>
            listeners.every((listener) => listener.text().match(/from-/g)!.length >= 3),
          );
          await sleep(300); // a second copy would come now
          for (const [i, member] of members.entries()) {
            const others = members.filter((one) => one !== member).map((one) => `from-${one.name}`);
            const wire = wires[i].text().match(/from-[a-z]+/g) ?? [];
            assert.deepEqual(wire.sort(), others.toSorted(), `${member.name}: on the wire`);
            const heard = listeners[i].text().match(/from-[a-z]+/g) ?? [];
            // A broadcast is also delivered by the sender's own kernel.
            const own = heard.filter((text) => text !== `from-${member.name}`);
            assert.deepEqual(own.sort(), others.toSorted(), `${member.name}: in its socket`);
          }
        } finally {
          for (const one of [...listeners, ...wires]) await one.stop('SIGKILL');
        }
      });
    }
  });
}

describe('a guest speaks for itself only', {
  skip: lacking('ping', 'tcpdump', 'unshare', 'nsenter', 'ip'),
}, () => {
  let ferry: Ferry;
  before(async () => {
    ferry = await Ferry.start();
  });
  after(() => ferry?.stop());

  test('frames with another’s source MAC are dropped and counted', async () => {
    const [liar, victim, witness] = [
      await ferry.guest('liar'),
      await ferry.guest('victim'),
      await ferry.guest('witness'),
    ];
    const host = await ferry.vif(null);
    await witness.run(['ping', '-c', '1', '-W', '2', victim.v4]);
    const wire = ferry.host.start([
      'tcpdump',
      '-i',
      'nf0',
      '-Q',
      'in',
      '-nn',
      '-e',
      '-l',
      'icmp',
      'and',
      'host',
      liar.v4,
    ]);
    try {
      await sleep(500);
      await liar.run(['ip', 'link', 'set', 'eth0', 'address', victim.info.mac]);
      await liar.run(['ip', 'neigh', 'replace', HOST.v4, 'lladdr', host.mac, 'dev', 'eth0']);
      const spoofed = await liar.try(['ping', '-c', '3', '-i', '0.1', '-W', '1', HOST.v4]);
      assert.notEqual(spoofed.code, 0);
      const { counters } = await ferry.vif(liar);
      assert.ok(counters.drops['spoofed-source'] >= 3, JSON.stringify(counters.drops));
      assert.equal(wire.text(), '', 'the host saw nothing of it');
      // The victim's frames still go to the victim.
      await witness.run(['ping', '-c', '3', '-i', '0.1', '-W', '2', victim.v4]);
      await liar.run(['ip', 'link', 'set', 'eth0', 'address', liar.info.mac]);
      await liar.run(['ping', '-c', '1', '-W', '2', HOST.v4]);
    } finally {
      await wire.stop('SIGKILL');
    }
  });
});
