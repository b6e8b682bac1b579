/** `netferry status` */
import type { Command } from 'commander';
import type { Status } from '../daemon/api.js';
import type { Attach, Context } from './context.js';
import { painter, printJson } from './io.js';
import { bytes, duration } from './text.js';

export function addStatus(program: Command, attach: Attach): void {
  const command = program.command('status').description('the daemon: since when, with what, for whom');
  attach(command, status);
}

async function status({ io, client, json }: Context): Promise<undefined> {
  const found = await client.status();
  if (json) {
    printJson(io, found);
    return;
  }
  const { host } = found;
  const paint = painter(io, io.stdout);
  const rows: [string, string][] = [
    ['daemon', `netferry ${found.version}, pid ${found.pid}, up ${duration(found.uptime)}`],
    ['directory', found.directory],
    ['platform', platformText(found)],
    ['host port', host ? [host.name, host.mac, ...host.addresses, `MTU ${host.mtu}`].join('  ') : 'none'],
    ['uplink', uplinkText(found)],
    ['guests', `${found.guests} (${found.vifs} ports)`],
    ['transfer', found.transfer],
    ['tap I/O', found.io],
    ['memory', bytes(found.rss)],
  ];
  for (const [name, value] of rows) io.stdout.write(`${paint('dim', name.padEnd(10))}  ${value}\n`);
}

function platformText({ platform, rootless, xen }: Status): string {
  if (!xen) return rootless ? `${platform}, rootless (in a namespace of its own)` : platform;
  const store = xen.connected ? `xenstore ${xen.xenstore}` : `xenstore ${xen.xenstore} is away`;
  return [platform, xen.domid === 0 ? 'dom0' : `driver domain ${xen.domid}`, store].join(', ');
}

function uplinkText({ uplink, crossing }: Status): string {
  const through = crossing ? `crossing ${crossing}` : '';
  if (!uplink) return through ? `none, ${through}` : 'none';
  const { name, mac, mode, promiscuous, through: way, absent, carrier } = uplink;
  const present = [`by ${mode}`, promiscuous && 'promiscuous', way === null && 'skipped by guests’ frames'];
  const how = absent ? `absent: ${absent}` : present.filter(Boolean).join(', ');
  return [name, mac, how, absent || carrier ? '' : 'no carrier', through].filter(Boolean).join('  ');
}
