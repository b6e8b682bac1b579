/** What event channels must do, whatever carries them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SetupError } from '../../src/sys/errors.js';
import type { Channel, EventChannels } from '../../src/xen/event_channels.js';

export interface EventPlatform {
  readonly channels: EventChannels;
  readonly domid: number;
  readonly nobody: number;
  /** EVTCHNOP_alloc_unbound by the domain; its end of the channel. */
  allocate(): { port: number; notify(): void; pending(): boolean };
  /** The back end's end. */
  notify(channel: Channel): void;
  pending(channel: Channel): boolean;
  /** Is an event that came before the first one was taken reported once more? (Xen: it found the port masked.) */
  readonly repeats: boolean;
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

    /** The back end's end of `port`. Xen reports an event when a channel is bound, since one may have been lost before. */
    const bind = (p: EventPlatform, port: number): Channel => {
      const channel = p.channels.channel(p.channels.bindInterdomain(p.domid, port));
      p.pending(channel);
      return channel;
    };

    run('an event of either end wakes the other, once for any number of them', (p) => {
      const domain = p.allocate();
      const channel = bind(p, domain.port);
      assert.equal(domain.pending(), false);
      for (let i = 0; i < 5; i++) p.notify(channel);
      assert.equal(p.pending(channel), false, 'an end does not hear itself');
      assert.equal(domain.pending(), true);
      if (p.repeats) domain.pending();
      assert.equal(domain.pending(), false);
      for (let i = 0; i < 5; i++) domain.notify();
      assert.equal(p.pending(channel), true);
      if (p.repeats) p.pending(channel);
      assert.equal(p.pending(channel), false);
    });

    run('a storm of events neither blocks nor is lost (XSA-332, XSA-391)', (p) => {
      const domain = p.allocate();
      const channel = bind(p, domain.port);
      for (let i = 0; i < 20_000; i++) domain.notify();
      assert.equal(p.pending(channel), true);
      if (p.repeats) p.pending(channel);
      assert.equal(p.pending(channel), false);
      for (let i = 0; i < 20_000; i++) p.notify(channel);
      assert.equal(domain.pending(), true);
    });

    run('channels do not hear each other', (p) => {
      const [a, b] = [p.allocate(), p.allocate()];
      const first = bind(p, a.port);
      const second = bind(p, b.port);
      a.notify();
      assert.equal(p.pending(second), false);
      assert.equal(p.pending(first), true);
    });

    run('a port that is not there, or bound already, is refused', (p) => {
      const { port } = p.allocate();
      for (const wrong of [0, port + 1, 0xffffffff, -1]) {
        assert.throws(() => p.channels.bindInterdomain(p.domid, wrong), SetupError);
      }
      assert.throws(() => p.channels.bindInterdomain(p.nobody, port), SetupError);
      const local = p.channels.bindInterdomain(p.domid, port);
      assert.throws(() => p.channels.bindInterdomain(p.domid, port), SetupError);
      p.channels.unbind(local);
      assert.throws(() => p.channels.channel(local), SetupError);
      p.channels.unbind(local);
      p.channels.channel(p.channels.bindInterdomain(p.domid, port));
    });

    run('what was sent before the back end bound is there when it does', (p) => {
      const domain = p.allocate();
      domain.notify();
      const channel = p.channels.channel(p.channels.bindInterdomain(p.domid, domain.port));
      assert.equal(p.pending(channel), true);
    });
  });
}
