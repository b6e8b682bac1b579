/**
 * `node stream_server.js BYTES`: an HTTP server on port 8000 whose every answer is BYTES of AES-CTR key stream, so
 * that no two parts of it are alike and nothing of it lies on a disk.
 */
import { createCipheriv } from 'node:crypto';
import { createServer } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const CHUNK = 1 << 18;

export function* keyStream(bytes: number): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
  const zeroes = Buffer.alloc(CHUNK);
  for (let left = bytes; left > 0; left -= CHUNK)
    yield cipher.update(left < CHUNK ? zeroes.subarray(0, left) : zeroes);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const bytes = Number(process.argv[2]);
  createServer((_, response) => {
    response.writeHead(200, { 'content-length': bytes });
    pipeline(Readable.from(keyStream(bytes)), response, () => {});
  }).listen(8000, '::');
}
