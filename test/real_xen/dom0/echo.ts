/** UDP datagrams to a guest's echo and back, each compared: the only copies that no checksum of TCP hides. */
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Place } from './place.js';
import { within } from './place.js';

const PORT = 7;
/** Seconds for one datagram there and back. */
const ANSWER = 10;

/** `from` is where this process runs; `to` answers at `address`. Asserts that each comes back as it was sent. */
export async function echoHashed(to: Place, address: string, sizes: Iterable<number>): Promise<number> {
  const v6 = address.includes(':');
  // One datagram is under way at a time, so none are joined in the pipe.
  const server = await to.start(`socat -b 65536 UDP${v6 ? 6 : 4}-LISTEN:${PORT},fork PIPE`);
  const socket = createSocket(v6 ? 'udp6' : 'udp4');
  let count = 0;
  try {
    await to.ok(
      `for i in $(seq 50); do netstat -lun | grep -q ':${PORT} ' && exit 0; sleep 0.2; done; exit 1`,
    );
    await new Promise<void>((resolve) => socket.connect(PORT, address, resolve));
    for (const size of sizes) {
      const sent = randomFillSync(Buffer.alloc(size));
      const answer = once(socket, 'message') as Promise<[Buffer]>;
      socket.send(sent);
      const [received] = await within(ANSWER, `${size} bytes of UDP to ${to.name} and back`, answer);
      assert.ok(
        received.equals(sent),
        `${to.name}: ${size} bytes of UDP came back as ${difference(sent, received)}`,
      );
      count++;
    }
  } finally {
    socket.close();
    await server.kill();
  }
  return count;
}

function difference(sent: Buffer, received: Buffer): string {
  const at = sent.findIndex((byte, index) => received[index] !== byte);
  return `${received.length} bytes, different from byte ${at} on`;
}
