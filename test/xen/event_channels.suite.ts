/** What event channels must do, whatever carries them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SetupError } from '../../src/sys/errors.js';
import type { EventChannels } from '../../src/xen/event_channels.js';

export interface EventPlatform {
  readonly channels: EventChannels;
  readonly domid: number;
  readonly nobody: number;
  /** EVTCHNOP_alloc_unbound by the domain; its end of the channel. */
  allocate(): { port: number; notify(): void; pending(): boolean };
  /** The back end's end. */
  notify(fd: number): void;
  pending(fd: number): boolean;
  close(): void;
}

export function eventChannelsSuite(name: string, open: () => EventPlatform): void {
  describe(`event channels, ${name}`, () => {
    const run = (title: string, body: (p: EventPlatform) => void) =>
      test(title, () => {
        const platform = open();
        try {
          body(platform);
        } finally {
          platform.close();
        }
      });

    run('an event of either end wakes the other, once for any number of them', (p) => {
      const domain = p.allocate();
      const channel = p.channels.channel(p.channels.bindInterdomain(p.domid, domain.port));
      assert.equal(domain.pending(), false);
      for (let i = 0; i < 5; i++) p.notify(channel.notifyFd);
      assert.equal(p.pending(channel.waitFd), false, 'an end does not hear itself');
      assert.equal(domain.pending(), true);
      assert.equal(domain.pending(), false);
      for (let i = 0; i < 5; i++) domain.notify();
      assert.equal(p.pending(channel.waitFd), true);
      assert.equal(p.pending(channel.waitFd), false);
    });

    run('a storm of events neither blocks nor is lost (XSA-332, XSA-391)', (p) => {
      const domain = p.allocate();
      const channel = p.channels.channel(p.channels.bindInterdomain(p.domid, domain.port));
      for (let i = 0; i < 20_000; i++) domain.notify();
      assert.equal(p.pending(channel.waitFd), true);
      assert.equal(p.pending(channel.waitFd), false);
      for (let i = 0; i < 20_000; i++) p.notify(channel.notifyFd);
      assert.equal(domain.pending(), true);
    });

    run('channels do not hear each other', (p) => {
      const [a, b] = [p.allocate(), p.allocate()];
      const first = p.channels.channel(p.channels.bindInterdomain(p.domid, a.port));
      const second = p.channels.channel(p.channels.bindInterdomain(p.domid, b.port));
      a.notify();
      assert.equal(p.pending(second.waitFd), false);
      assert.equal(p.pending(first.waitFd), true);
    });

    run('a port that is not there, or bound already, is refused', (p) => {
      const { port } = p.allocate();
      for (const wrong of [0, port + 1, 0xffffffff, -1]) {
        assert.throws(() => p.channels.bindInterdomain(p.domid, wrong), SetupError);
      }
      assert.throws(() => p.channels.bindInterdomain(p.nobody, port), SetupError);
      const local = p.channels.bindInterdomain(p.domid, port);
      assert.throws(() => p.channels.bindInterdomain(p.domid, port), /already bound/);
      p.channels.unbind(local);
      assert.throws(() => p.channels.channel(local), SetupError);
      p.channels.unbind(local);
      p.channels.channel(p.channels.bindInterdomain(p.domid, port));
    });

    run('what was sent before the back end bound is there when it does', (p) => {
      const domain = p.allocate();
      domain.notify();
      const channel = p.channels.channel(p.channels.bindInterdomain(p.domid, domain.port));
      assert.equal(p.pending(channel.waitFd), true);
    });
  });
}
