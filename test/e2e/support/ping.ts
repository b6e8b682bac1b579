import assert from 'node:assert/strict';
import { type Place, until } from './place.js';

/** Replies that came in, by the kernel: ping itself waits for the last ones no longer than twice the longest of the others took. */
async function replies(at: Place): Promise<number> {
  const files = await at.run('cat /proc/net/snmp /proc/net/snmp6');
  const [names, values] = files.split('\n').filter((line) => line.startsWith('Icmp: '));
  const four = values.split(' ')[names.split(' ').indexOf('InEchoReps')];
  return Number(four) + Number(/^Icmp6InEchoReplies\s+(\d+)$/m.exec(files)?.[1]);
}

/** Three pings in quick succession, each answered. */
export async function ping(from: Place, to: string, size: number, ...options: string[]): Promise<void> {
  const before = await replies(from);
  const command = ['ping', '-n', '-q', '-c', '3', '-i', '0.02', '-W', '3', '-s', String(size)];
  const output = await from.run([...command, ...options, to]);
  assert.match(output, /3 packets transmitted/);
  await until(`three replies of ${to}, ${size} bytes`, async () => (await replies(from)) === before + 3);
}
