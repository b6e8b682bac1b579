import { type Cpu, cpu, spent } from '../dom0/cpu.js';
import type { Guest } from '../dom0/guest.js';
import type { Lab } from '../dom0/lab.js';
import {
  addressesOf,
  HOST,
  HOST_ARGS,
  kernelNetwork,
  type Network,
  netferryNetwork,
  setNetfilter,
} from '../dom0/network.js';
import type { Place } from '../dom0/place.js';
import { iperf } from '../dom0/traffic.js';
import type { Scenario } from '../scenario.js';

/** Defaults of its settings: rounds, seconds of a figure, and so on; contestants and figures are given with commas. */
const ROUNDS = '3';
const SECONDS = '5';
/** Of the same traffic before it, which does not count: windows open, caches fill, and what runs often is compiled. */
const WARM = '3';
const FIGURES = ['to-dom0', 'from-dom0', 'guests', 'udp', 'ping'];
/** What all others are divided by, within one round: the talk's bridge, as Debian sets it up. */
const RIVAL = 'bridge+netfilter';
const KERNEL = [RIVAL, 'bridge'];
/** Those that an unmodified front end can have: with `persistent` and `static` it is served by grant copies. */
const TRANSFERS = ['grant-copy', 'map'];
/** With dom0 behind a vif of its own, instead of a tap. */
const BY_NETFRONT = '+netfront';
const MEGABYTE = 1e6;

/** What is measured, and for how many seconds each. */
interface Plan {
  readonly figures: readonly string[];
  readonly seconds: number;
  readonly warm: number;
}

/** Figures of one contestant in one round. */
type Turn = Record<string, number>;

/** Figures of which less is better. */
const LESS = /latency|CPU/;

export const scenario: Scenario = {
  about:
    'side by side in one boot: kernel netback and bridge with and without netfilter, ours with each transfer',
  boot: { alone: 'compare' },
  seconds: 3600,
  byDefault: false,
  async run(lab) {
    const guests = [
      await lab.guest({ name: 'g1', vifs: [] }),
      await lab.guest({ name: 'g2', vifs: [] }),
    ] as const;
    const contestants = list(
      lab,
      'contestants',
      lab.backend === 'kernel' ? KERNEL : [...KERNEL, ...TRANSFERS, `grant-copy${BY_NETFRONT}`],
    );
    if (!contestants.includes(RIVAL)) contestants.unshift(RIVAL);
    const plan: Plan = {
      figures: list(lab, 'figures', FIGURES),
      seconds: Number(lab.setting('seconds', SECONDS)),
      warm: Number(lab.setting('warm', WARM)),
    };
    const rounds: Record<string, Turn>[] = [];
    for (let round = 0; round < Number(lab.setting('rounds', ROUNDS)); round++) {
      const turns: Record<string, Turn> = {};
      // Another one begins each round.
      for (let at = 0; at < contestants.length; at++) {
        const name = contestants[(at + round) % contestants.length];
        lab.step(`round ${round + 1}: ${name}`);
        turns[name] = await turn(lab, name, guests, plan);
        lab.step(line(turns[name]));
      }
      rounds.push(turns);
    }
    const ratios = compareRounds(rounds, contestants);
    lab.figures('compare', { rival: RIVAL, rounds, ratios });
    for (const row of table(ratios, contestants)) lab.step(row);
  },
};

/** Sets the contestant up, gives both guests a vif of it, measures, and takes all away again. */
async function turn(lab: Lab, name: string, guests: readonly [Guest, Guest], plan: Plan): Promise<Turn> {
  const { dom0 } = lab;
  const { figures } = plan;
  const { network, end } = await setUp(lab, name);
  for (const [index, guest] of guests.entries()) {
    const { v4 } = addressesOf(index + 1);
    await guest.attach(network.vif(index + 1));
    await guest.address(`${v4}/24`);
    await guest.ok(`ping -c 3 -i 0.2 -W 10 ${HOST.v4}`);
  }
  const result: Turn = {};
  const [a, b] = guests;
  const of2 = addressesOf(2).v4;
  await a.ok(`ping -c 3 -i 0.2 -W 10 ${of2}`);
  const stream = async (what: string, from: Place, to: Place, address: string) =>
    Object.assign(result, await tcp(lab, what, from, to, address, plan));
  if (figures.includes('to-dom0')) await stream('guest → dom0', a, dom0, HOST.v4);
  if (figures.includes('from-dom0')) await stream('dom0 → guest', dom0, a, addressesOf(1).v4);
  if (figures.includes('guests')) await stream('guest → guest', a, b, of2);
  if (figures.includes('udp')) {
    const datagrams = (seconds: number) => iperf(a, dom0, HOST.v4, `-u -b 0 -l 64 -t ${seconds}`);
    await datagrams(plan.warm);
    const { sum } = (await datagrams(plan.seconds)).end;
    result['UDP 64 B, received/s'] = (sum!.packets - sum!.lost_packets) / sum!.seconds;
  }
  if (figures.includes('ping')) {
    const pings = `ping -q -c 50 -i 0.05 ${HOST.v4}`;
    await a.ok(pings);
    const answer = await a.ok(pings);
    result['ping latency, ms'] = Number(answer.match(/= [\d.]+\/([\d.]+)\//)?.[1]);
  }
  for (const guest of guests) {
    await guest.detach(0);
    await guest.until('[ ! -e /sys/class/net/eth0 ]');
  }
  await end();
  return result;
}

async function setUp(
  lab: Lab,
  name: string,
): Promise<{ readonly network: Network; readonly end: () => Promise<unknown> }> {
  const { dom0 } = lab;
  if (KERNEL.includes(name)) {
    const network = await kernelNetwork(dom0);
    if (name === RIVAL) await setNetfilter(dom0, true);
    const end = async () => {
      if (name === RIVAL) await setNetfilter(dom0, false);
      await dom0.ok('ip link del xenbr0 && rmmod xen_netback');
    };
    return { network, end };
  }
  const netfront = name.endsWith(BY_NETFRONT);
  if (netfront) await dom0.ok('modprobe xen-netfront');
  const host = netfront ? [...HOST_ARGS, '--host-driver', 'netfront'] : HOST_ARGS;
  const transfer = name.replace(BY_NETFRONT, '');
  const daemon = await lab.netferry({ args: [...host, '--transfer', transfer] });
  const end = async () => {
    await daemon.stop();
    if (netfront) await dom0.ok('rmmod xen_netfront');
  };
  return { network: netferryNetwork(daemon), end };
}

async function tcp(
  lab: Lab,
  what: string,
  from: Place,
  to: Place,
  address: string,
  { seconds, warm }: Plan,
): Promise<Turn> {
  await iperf(from, to, address, `-t ${warm}`);
  const before = await cpu(lab.dom0);
  const { end } = await iperf(from, to, address, `-t ${seconds}`);
  const used: Cpu = spent(before, await cpu(lab.dom0));
  const received = end.sum_received!;
  const perMegabyte = (cpu: number) => (cpu * 1000) / (received.bytes / MEGABYTE);
  return {
    [`${what}, Mb/s`]: received.bits_per_second / 1e6,
    [`${what}, dom0 CPU ms/MB`]: perMegabyte(used.user + used.system + used.interrupts),
    [`${what}, of it user CPU`]: perMegabyte(used.user),
    [`${what}, of it system CPU`]: perMegabyte(used.system),
    [`${what}, of it interrupts’ CPU`]: perMegabyte(used.interrupts),
    [`${what}, by Xen's account CPU`]: perMegabyte(used.domain),
  };
}

/** A setting that is words with commas between them. */
function list(lab: Lab, name: string, otherwise: readonly string[]): string[] {
  return lab.setting(name, otherwise.join(',')).split(',');
}

/** Of each figure and contestant the median of its ratios to the rival's in the same round. */
function compareRounds(
  rounds: readonly Record<string, Turn>[],
  contestants: readonly string[],
): Record<string, Record<string, number>> {
  const figures = Object.keys(rounds[0][RIVAL]);
  return Object.fromEntries(
    figures.map((figure) => [
      figure,
      Object.fromEntries(
        contestants.map((name) => [
          name,
          median(rounds.map((turns) => turns[name][figure] / turns[RIVAL][figure])),
        ]),
      ),
    ]),
  );
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

function line(turnOf: Turn): string {
  return Object.entries(turnOf)
    .filter(([figure]) => !figure.includes('of it'))
    .map(([figure, value]) => `${figure} ${value.toFixed(2)}`)
    .join('; ');
}

function* table(
  ratios: Record<string, Record<string, number>>,
  contestants: readonly string[],
): Generator<string> {
  yield `ratios to ${RIVAL}, medians of the rounds`.padEnd(44) +
    contestants.map((name) => name.padStart(17)).join('');
  for (const [figure, row] of Object.entries(ratios)) {
    const better = LESS.test(figure) ? ' (less is better)' : '';
    yield `${figure}${better}`.padEnd(44) +
      contestants.map((name) => row[name].toFixed(2).padStart(17)).join('');
  }
}
