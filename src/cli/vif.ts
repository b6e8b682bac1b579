/** `netferry vif list [--watch]`, `netferry vif link` */
import { setTimeout as sleep } from 'node:timers/promises';
import { Argument, type Command } from 'commander';
import type { Vif } from '../daemon/api.js';
import type { Attach, Context } from './context.js';
import { painter, printJson } from './io.js';
import { parseInterval } from './options.js';
import { bitRate, bytes, dropsText, frameRate, human, table } from './text.js';

const CLEAR_SCREEN = '\x1b[H\x1b[2J';
const NUMBERS = [5, 6, 7, 8, 9, 10];
/** MACs of one port that a line has room for. */
const MACS_SHOWN = 1;

export function addVif(program: Command, attach: Attach): void {
  const group = program
    .command('vif')
    .description('the ports: guests’ vifs, attached interfaces, uplink and host');
  const list = group
    .command('list')
    .description('every port with its counters')
    .option('-w, --watch', 'again and again, with rates')
    .option('--interval <seconds>', 'between two looks, with --watch', parseInterval, 1)
    .addHelpText(
      'after',
      `
IN is what the guest (or the host, or the wire) sends, OUT what it is sent. Of uplink and host only what ports
exchange with them is counted. AVG is the mean frame in bytes.
With --watch --json: one document a line.

Examples:
  netferry vif list --watch
  netferry vif list --json | jq '.[] | {name, drops: .counters.drops}'
`,
    );
  const link = group
    .command('link')
    .description('pull the cable of a guest’s vif, or put it in again')
    .argument('<vif>', 'as `vif list` calls it')
    .addArgument(new Argument('<state>').choices(['up', 'down']))
    .addHelpText(
      'after',
      `
While it is down nothing is carried, and nothing of the guest is mapped; what it sends waits in its ring. A front end
that looks (ours; not Linux’s) has no carrier then. It is kept in xenstore: a daemon that starts anew leaves it down.

Examples:
  netferry vif link web/0 down
`,
    );
  attach(link, (context) => setLink(context, ...(link.processedArgs as [string, 'up' | 'down'])));
  attach(list, (context) => listVifs(context, list.opts<{ watch?: boolean; interval: number }>()));
}

async function setLink(
  { io, client, json }: Context,
  name: string,
  state: 'up' | 'down',
): Promise<undefined> {
  await client.setLink(name, { up: state === 'up' });
  if (json) printJson(io, { vif: name, link: state });
  else io.stdout.write(`${name}: its link is ${state}\n`);
}

async function listVifs(
  context: Context,
  options: { watch?: boolean; interval: number },
): Promise<undefined> {
  const { io, client, json } = context;
  if (!options.watch) {
    const vifs = await client.vifs();
    if (json) printJson(io, vifs);
    else io.stdout.write(vifTable(context, vifs));
    return;
  }
  const stopped = new AbortController();
  const release = io.onStop(() => stopped.abort());
  try {
    let before: Look | undefined;
    while (!stopped.signal.aborted) {
      const now: Look = { at: performance.now(), vifs: await client.vifs() };
      if (json) io.stdout.write(`${JSON.stringify(now.vifs)}\n`);
      else
        io.stdout.write(
          (io.stdout.isTTY ? CLEAR_SCREEN : '') + vifTable(context, now.vifs, rates(before, now)),
        );
      before = now;
      await sleep(options.interval * 1000, undefined, { signal: stopped.signal }).catch(() => {});
    }
  } finally {
    release();
  }
}

interface Look {
  /** Milliseconds of a clock that never jumps. */
  readonly at: number;
  readonly vifs: readonly Vif[];
}

/** Frames and bytes a second. */
export interface Rate {
  readonly in: { frames: number; bytes: number };
  readonly out: { frames: number; bytes: number };
}

/** Rates between two looks, by vif. A vif that was not there, or began anew, has none. */
export function rates(before: Look | undefined, now: Look): Map<string, Rate> {
  const found = new Map<string, Rate>();
  const seconds = before ? (now.at - before.at) / 1000 : 0;
  if (!before || seconds <= 0) return found;
  for (const vif of now.vifs) {
    const old = before.vifs.find((one) => one.name === vif.name && one.domid === vif.domid)?.counters;
    const { counters } = vif;
    if (!old || !counters || old.in.frames > counters.in.frames || old.out.frames > counters.out.frames)
      continue;
    const rate = (side: 'in' | 'out') => ({
      frames: (counters[side].frames - old[side].frames) / seconds,
      bytes: (counters[side].bytes - old[side].bytes) / seconds,
    });
    found.set(vif.name, { in: rate('in'), out: rate('out') });
  }
  return found;
}

function vifTable({ io }: Context, vifs: readonly Vif[], speeds?: Map<string, Rate>): string {
  const paint = painter(io, io.stdout);
  const head = ['VIF', 'KIND', 'MAC', 'STATE', 'TRANSFER', 'IN', '', 'AVG', 'OUT', '', 'AVG', 'DROPS'];
  const rows = vifs.map((vif) => {
    const connected = vif.state === 'connected';
    const colour = vif.carrier ? 'green' : vif.state === 'fenced' ? 'red' : 'yellow';
    const state = connected && !vif.carrier ? 'no carrier' : vif.state;
    const speed = speeds?.get(vif.name);
    return [
      vif.name,
      vif.kind,
      macsText(vif),
      paint(colour, vif.reason ? `${state}: ${vif.reason}` : state),
      vif.transfer ?? '-',
      ...flow(vif.counters?.in, speeds && speed?.in, speeds !== undefined),
      ...flow(vif.counters?.out, speeds && speed?.out, speeds !== undefined),
      vif.counters ? dropsText(vif.counters.drops) : '-',
    ];
  });
  return table(
    head.map((name) => paint('dim', name)),
    rows,
    NUMBERS,
  );
}

/** `02:… +3`: the first, and how many more. The crossing's are those of the other rows. */
function macsText({ kind, mac, macs }: Vif): string {
  if (kind === 'crossing' || mac === '') return '-';
  return macs.length > MACS_SHOWN ? `${mac} +${macs.length - MACS_SHOWN}` : mac;
}

/** Frames, bytes and mean size; rates in their place when watching. */
function flow(
  counted: { frames: number; bytes: number } | undefined,
  speed: { frames: number; bytes: number } | undefined,
  watching: boolean,
): string[] {
  if (!counted || (watching && !speed)) return ['-', '-', '-'];
  const now = speed ?? counted;
  const average = now.frames > 0 ? String(Math.round(now.bytes / now.frames)) : '-';
  if (speed) return [frameRate(speed.frames), bitRate(speed.bytes), average];
  return [human(counted.frames), bytes(counted.bytes), average];
}
