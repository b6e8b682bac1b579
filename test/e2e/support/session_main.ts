/**
 * `node session_main.js serve PORT`: answers every byte. `node session_main.js hold ADDRESS PORT`: one connection,
 * a byte each 20 ms; when its input ends it prints the bytes that came back, the longest time (ms) between two, and
 * what went wrong.
 */
import { connect, createServer } from 'node:net';

const EVERY = 20;
const [verb, ...args] = process.argv.slice(2);
if (verb === 'serve') {
  createServer((socket) => {
    socket.on('error', () => {});
    socket.setNoDelay(true).pipe(socket);
  }).listen(Number(args[0]), '::', () => console.log('ready'));
} else {
  let [bytes, longest, last, failure] = [0, 0, 0, ''];
  const see = () => {
    const now = performance.now();
    if (last > 0) longest = Math.max(longest, now - last);
    last = now;
  };
  const socket = connect(Number(args[1]), args[0], () => {
    socket.setNoDelay(true);
    setInterval(() => socket.write('x'), EVERY);
    console.log('ready');
  });
  socket.on('data', (data) => {
    see();
    bytes += data.length;
  });
  socket.on('error', (error) => {
    failure = error.message;
  });
  socket.on('close', () => {
    failure ||= 'closed';
  });
  process.stdin.resume().on('end', () => {
    see();
    console.log(JSON.stringify({ bytes, longest: Math.round(longest), failure }));
    process.exit();
  });
}
