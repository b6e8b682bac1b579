/**
 * `node hash_main.js receive PORT`: prints the hash of all bytes of one connection.
 * `node hash_main.js send ADDRESS PORT BYTES`: sends so many random bytes and prints their hash.
 */
import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer } from 'node:net';

const [verb, ...args] = process.argv.slice(2);
if (verb === 'receive') {
  const server = createServer(async (socket) => {
    const hash = createHash('sha256');
    for await (const data of socket) hash.update(data as Buffer);
    console.log(hash.digest('hex'));
    server.close();
  });
  server.listen(Number(args[0]), '::', () => console.log('ready'));
} else {
  const data = randomBytes(Number(args[2]));
  connect(Number(args[1]), args[0]).end(data);
  console.log(createHash('sha256').update(data).digest('hex'));
}
