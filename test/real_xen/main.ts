/**
 * `npm run test:xen [-- SCENARIO…]`: real Xen under QEMU, and scenarios in its dom0. See README.md here.
 *
 *   --list        the scenarios
 *   --all         those too that run only when they are named
 *   --jobs N      boots at a time (default: 1); each keeps one CPU busy
 *   --backend kernel   guests are carried by the kernel's netback and a bridge: to see whose a fault is
 *   --set N=V     a setting of the scenarios that know it, as compare's rounds: may be repeated
 *   --real-time   clocks run with this machine's, not by counted instructions (`counted` in protocol.ts)
 *   --results D   where consoles and logs go (default: dist/xen-results)
 */
import { readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { installed } from './host/command.js';
import { type Images, provideImages, ROOT } from './host/images.js';
import { Unavailable } from './host/packages.js';
import { Results } from './host/results.js';
import { Runner, type Wanted } from './host/runner.js';
import { loadScenario } from './scenario.js';

/** Programs and the packages that have them. */
const TOOLS: Record<string, string> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'apt-get': 'apt',
  'dpkg-deb': 'dpkg',
  tar: 'tar',
  xz: 'xz-utils',
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '1' },
    'real-time': { type: 'boolean', default: false },
    backend: { type: 'string', default: 'netferry' },
    set: { type: 'string', multiple: true, default: [] },
    results: { type: 'string', default: join(ROOT, 'dist/xen-results') },
  },
});
process.exit(await main());

async function main(): Promise<number> {
  const all = await scenarios();
  if (values.list) {
    for (const { name, scenario } of all) console.log(`${name.padEnd(24)} ${scenario.about}`);
    return 0;
  }
  const unknown = positionals.filter((name) => !all.some((one) => one.name === name));
  if (unknown.length > 0) {
    console.error(
      `no scenario is called ${unknown.join(', ')}; there are: ${all.map(({ name }) => name).join(' ')}`,
    );
    return 2;
  }
  const chosen = all.filter(({ name, scenario }) =>
    positionals.length > 0 ? positionals.includes(name) : values.all || scenario.byDefault !== false,
  );
  const realTime = ({ name, scenario }: Wanted): Wanted => ({
    name,
    scenario: { ...scenario, boot: { ...scenario.boot, counted: false } },
  });
  const wanted = values['real-time'] ? chosen.map(realTime) : chosen;
  if (!['netferry', 'kernel'].includes(values.backend)) {
    console.error('--backend is netferry or kernel');
    return 2;
  }
  if (!values.set.every((text) => /^[\w-]+=/.test(text))) {
    console.error('--set takes NAME=VALUE');
    return 2;
  }
  const jobs = Number(values.jobs);
  if (!Number.isInteger(jobs) || jobs < 1) {
    console.error('--jobs is a number of boots');
    return 2;
  }
  const results = new Results(resolve(values.results));
  try {
    const images = await provide();
    if (typeof images !== 'string') return await runAll(images, results, wanted, jobs);
    for (const { name } of wanted)
      results.add({ scenario: name, outcome: 'skipped', seconds: 0, here: 0, message: images });
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    for (const { name } of wanted) {
      if (!results.has(name))
        results.add({ scenario: name, outcome: 'failed', seconds: 0, here: 0, message });
    }
  }
  return results.close();
}

async function runAll(
  images: Images,
  results: Results,
  wanted: readonly Wanted[],
  jobs: number,
): Promise<number> {
  const runner = new Runner(images, results, {
    backend: values.backend === 'kernel' ? 'kernel' : 'netferry',
    settings: Object.fromEntries(values.set.map((text) => text.split(/=(.*)/s, 2))),
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void runner.stop(`stopped by ${signal}`));
  }
  await runner.run(wanted, jobs);
  rmSync(join(results.folder, '.guest.cpio'), { force: true });
  return results.close();
}

/** The images, or why this machine has none. */
async function provide(): Promise<Images | string> {
  const missing: string[] = [];
  for (const [program, name] of Object.entries(TOOLS)) {
    if (!(await installed(program))) missing.push(`${program} (package ${name})`);
  }
  if (missing.length > 0) return `this machine lacks ${missing.join(', ')}`;
  try {
    return await provideImages((text) => console.log(text));
  } catch (error) {
    if (error instanceof Unavailable) return error.message;
    throw error;
  }
}

async function scenarios(): Promise<Wanted[]> {
  const folder = fileURLToPath(new URL('./scenarios', import.meta.url));
  const names = readdirSync(folder)
    .filter((file) => file.endsWith('.js'))
    .map((file) => file.slice(0, -3).replaceAll('_', '-'))
    .sort();
  return Promise.all(names.map(async (name) => ({ name, scenario: await loadScenario(name) })));
}
