/** What the kernel of a place counted. */
import type { Place } from './place.js';

/** /proc/net/snmp, netstat and snmp6 as `Tcp.InCsumErrors`, `Udp6InCsumErrors`, … */
export async function protocolCounters(place: Place): Promise<Map<string, number>> {
  const counters = new Map<string, number>();
  const pairs = (await place.run('cat /proc/net/snmp /proc/net/netstat')).trim().split('\n');
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const [name, ...keys] = pairs[i].split(' ');
    const values = pairs[i + 1].split(' ').slice(1);
    for (const [k, key] of keys.entries()) counters.set(`${name.replace(':', '.')}${key}`, Number(values[k]));
  }
  for (const line of (await place.run('cat /proc/net/snmp6 2>/dev/null || true')).trim().split('\n')) {
    const [key, value] = line.split(/\s+/);
    if (value !== undefined) counters.set(key, Number(value));
  }
  return counters;
}

/** Frames that the kernel itself dropped at an interface, either way. */
export async function interfaceDrops(place: Place, name: string): Promise<number> {
  const [link] = JSON.parse(await place.run(['ip', '-s', '-j', 'link', 'show', name])) as [
    { stats64: { rx: { dropped: number }; tx: { dropped: number } } },
  ];
  return link.stats64.rx.dropped + link.stats64.tx.dropped;
}
