/** `netferry demo`: a daemon, two guests and traffic in all directions; then nothing of it is left. */
import type { Command } from 'commander';
import { ControlClient } from '../daemon/client.js';
import { SetupError } from '../sys/errors.js';
import type { Attach, Context } from './context.js';
import { type DemoReport, Narrator } from './demo_report.js';
import { Stage } from './demo_stage.js';
import { type Place, Traffic } from './demo_traffic.js';
import { note, printJson } from './io.js';
import { freeNetwork, type Network } from './network.js';

/** Where the search for a free network begins: not at 0, where `netferry up` takes its own. */
const FIRST_NETWORK = 77;
const TRANSFER_SECONDS = 2;
const EXIT_INTERRUPTED = 130;

export function addDemo(program: Command, attach: Attach): void {
  const command = program
    .command('demo')
    .description('show it all in half a minute, and leave nothing behind')
    .addHelpText(
      'after',
      `
Starts a daemon of its own on a private network that nobody uses, and two guests; pings and TCP streams go
between guests and host, every byte compared. A running daemon is not touched.
`,
    );
  attach(command, demo);
}

async function demo(context: Context): Promise<number> {
  const { io, json } = context;
  const narrator = new Narrator(io, json);
  const network = freeNetwork(FIRST_NETWORK);
  const stage = new Stage(io, network);
  let interrupt = () => {};
  const interrupted = new Promise<'interrupted'>((resolve) => {
    interrupt = () => resolve('interrupted');
  });
  const release = io.onStop(interrupt);
  const story = tell(stage, network, narrator);
  story.catch(() => {}); // when it was interrupted, what it stumbles over then is of no interest
  let told: Awaited<typeof story> | 'interrupted' | undefined;
  let left: string[] = [];
  try {
    told = await Promise.race([story, interrupted]);
  } finally {
    left = await stage.clear();
    release();
    if (told === undefined && left.length > 0) note(io, `left behind: ${left.join(', ')}`);
  }
  if (told === 'interrupted') {
    note(
      io,
      left.length === 0 ? '\ninterrupted; nothing is left behind' : `\ninterrupted; left: ${left.join(', ')}`,
    );
    return EXIT_INTERRUPTED;
  }
  if (left.length === 0) narrator.done('stopped; nothing is left: no interface, no process, no file');
  else narrator.failed(`stopped, but this is left: ${left.join(', ')}`);
  const ok =
    left.length === 0 &&
    told.pings.every((ping) => ping.received === ping.sent) &&
    told.transfers.every((transfer) => transfer.verified);
  const report: DemoReport = { ok, ...told, left };
  if (json) printJson(io, report);
  return ok ? 0 : 1;
}

/** Everything up to the table. Whatever it starts belongs to `stage`. */
async function tell(
  stage: Stage,
  network: Network,
  narrator: Narrator,
): Promise<Omit<DemoReport, 'ok' | 'left'>> {
  narrator.title(`A back end, two guests and the host, on ${network.host[0]}`);
  const status = await stage.startDaemon();
  const where = status.rootless ? ', in namespaces of its own' : '';
  narrator.done(
    `daemon, pid ${status.pid}${where}; host port ${stage.hostName}, transfer ${status.transfer}, taps by ${status.io}`,
  );
  const host: Place = {
    name: 'host',
    addresses: network.host.map(withoutPrefix),
    enter: (command) => stage.enter(status.rootless ? status.pid : process.pid, command),
    isPort: (vif) => vif.kind === 'tap',
  };
  const guests: Place[] = [];
  for (const [index, name] of ['alice', 'bob'].entries()) {
    const info = await stage.startGuest(name, network.guest(index));
    narrator.done(`guest ${name}, domain ${info.domid}, ${[info.mac, ...info.addresses].join(' ')}`);
    guests.push({
      name,
      addresses: info.addresses.map(withoutPrefix),
      enter: (command) => stage.enter(info.pid, command),
      isPort: (vif) => vif.guest === name,
    });
  }
  const [alice, bob] = guests;
  const traffic = new Traffic(new ControlClient({ directory: stage.directory, uid: stage.uid }), status.pid);
  stage.onClear(() => traffic.stop());

  narrator.title('ICMP echo');
  const pings = [];
  for (const [from, to] of [
    [alice, bob],
    [bob, alice],
    [alice, host],
  ]) {
    for (const address of to.addresses) {
      const report = await traffic.ping(from, to, address);
      narrator.ping(report);
      pings.push(report);
    }
  }

  narrator.title(`TCP, ${TRANSFER_SECONDS} s each way`);
  const transfers = [];
  for (const [from, to] of [
    [alice, bob],
    [bob, alice],
    [alice, host],
    [host, alice],
  ]) {
    const shown = narrator.startTransfer(from.name, to.name, TRANSFER_SECONDS);
    stage.onClear(() => shown.end());
    const report = await traffic.transfer(from, to, TRANSFER_SECONDS, shown.progress);
    shown.end(report);
    transfers.push(report);
  }
  narrator.transfers(transfers);
  narrator.title('Curtain');
  const { rootless, transfer, io } = status;
  return { network: network.host, rootless, transfer, io, pings, transfers };
}

function withoutPrefix(cidr: string): string {
  const slash = cidr.indexOf('/');
  if (slash < 0) throw new SetupError(`${cidr} is not an address with a prefix length`);
  return cidr.slice(0, slash);
}
