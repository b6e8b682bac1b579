/** `netferry lab` through the program itself; what runs is test/lab/fakes.ts, in a process of its own. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ENTRY } from '../../src/cli/context.js';
import { EXPERIMENTS } from '../../src/lab/experiments/index.js';
import { readResults, writeResults } from '../../src/lab/results.js';
import { syntheticResults } from '../lab/synthetic.js';
import { directory } from './fake.js';

const FAKE_LAB = fileURLToPath(new URL('./lab_process.js', import.meta.url));

function netferry(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [ENTRY, ...args], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, stdout, stderr };
}

function fakeLab(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [FAKE_LAB, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

test('list: one line each, or one document', () => {
  const { status, stdout, stderr } = netferry('lab', 'list', '--json');
  assert.deepEqual([status, stderr], [0, '']);
  const rows = JSON.parse(stdout) as {
    name: string;
    question: string;
    talk: string;
    missing: string | null;
  }[];
  assert.deepEqual(
    rows.map((row) => row.name),
    EXPERIMENTS.map((one) => one.name),
  );
  for (const row of rows)
    assert.deepEqual(Object.keys(row), ['name', 'title', 'question', 'talk', 'missing']);
  const plain = netferry('lab', 'list');
  assert.equal(plain.status, 0);
  assert.equal(plain.stdout.trimEnd().split('\n').length, 1 + EXPERIMENTS.length);
});

test('experiments have names of their own, fit for a command line', () => {
  const names = EXPERIMENTS.map((one) => one.name);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^[a-z0-9]+(-[a-z0-9]+)*$/);
});

test('an unknown name is an error that lists the known; nothing is made', (t) => {
  const out = join(directory(t), 'out');
  const { status, stdout, stderr } = netferry('lab', 'run', 'nonsense', '--out', out);
  assert.deepEqual([status, stdout], [2, '']);
  const known = EXPERIMENTS.map((one) => one.name).join(', ') || 'none';
  assert.equal(stderr, `netferry: no experiment is called "nonsense"\n  known: ${known}\n`);
  assert.equal(existsSync(out), false);
});

test('a directory that cannot be written is found before anything runs', (t) => {
  const dir = directory(t);
  writeFileSync(join(dir, 'file'), '');
  for (const [out, code] of [
    [join(dir, 'file', 'x'), 'ENOTDIR'],
    ['/proc/netferry', 'ENOENT'],
  ]) {
    const { status, stdout, stderr } = netferry('lab', 'run', '--out', out);
    assert.deepEqual(
      { status, stdout, stderr },
      {
        status: 1,
        stdout: '',
        stderr: `netferry: cannot write into ${out}: ${code}\n  choose another --out\n`,
      },
    );
  }
});

test('report: made anew from results.json; a bad one is refused with its key', (t) => {
  const dir = directory(t);
  const results = syntheticResults();
  writeResults(dir, results);
  const path = join(dir, 'report.html');
  assert.deepEqual(netferry('lab', 'report', dir), { status: 0, stdout: `${path}\n`, stderr: '' });
  assert.match(readFileSync(path, 'utf8'), /^<!doctype html>[\s\S]*Flipping a page, or copying the packet/);
  assert.deepEqual(JSON.parse(netferry('lab', 'report', dir, '--json').stdout), { report: path });
  writeFileSync(join(dir, 'results.json'), JSON.stringify({ ...results, effort: 'some' }));
  const refused = netferry('lab', 'report', dir);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /^netferry: .*results\.json: effort: /);
});

test('run: plain lines without a terminal, a table, results and report; 1 because one failed', (t) => {
  const dir = directory(t);
  const { status, stdout, stderr } = fakeLab('run', '--out', dir);
  assert.equal(status, 1, stderr);
  assert.match(stderr, /^1\/3 yardstick: Title of yardstick\n {2}yardstick: copying\n/);
  assert.match(stderr, /✗ failing +Error: the tap went away\n/);
  assert.match(stderr, /○ lacking +this kernel has no userfaultfd\n/);
  assert.ok(!stderr.includes('\x1b'));
  assert.match(stdout, /\nyardstick +(agrees|unclear) +\d+ ns for 16 KiB, \d+ ns for 64 bytes\.\n/);
  assert.ok(stdout.endsWith(`\n${join(dir, 'report.html')}\n`));
  assert.deepEqual(readdirSync(dir).sort(), ['report.html', 'results.json']);
  assert.deepEqual(
    readResults(dir).experiments.map((one) => one.outcome),
    ['done', 'failed', 'missing'],
  );
  assert.match(readFileSync(join(dir, 'report.html'), 'utf8'), /Copying within the cache/);
});

test('run NAME --json: that one only, its results on stdout; 0 because it ran', (t) => {
  const dir = directory(t);
  const { status, stdout } = fakeLab('run', 'yardstick', '--json', '--out', dir);
  assert.equal(status, 0);
  assert.deepEqual(JSON.parse(stdout), readResults(dir));
  assert.deepEqual(
    JSON.parse(stdout).experiments.map((one: { name: string }) => one.name),
    ['yardstick'],
  );
  assert.equal(fakeLab('run', 'lacking', '--out', dir).status, 1, 'none could run');
});

test('Ctrl-C: ends, writes what there is, and says that it is partial', { timeout: 60_000 }, async (t) => {
  const dir = directory(t);
  const child = spawn(process.execPath, [FAKE_LAB, 'run', 'yardstick', 'endless', '--out', dir], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const heard = await says(child, /2\/2 endless/);
  child.kill('SIGINT');
  const [code] = await once(child, 'exit');
  assert.equal(code, 130, heard());
  assert.match(heard(), /stopped; what there is by now is in /);
  const results = readResults(dir);
  assert.equal(results.partial, true);
  assert.deepEqual(
    results.experiments.map((one) => one.outcome),
    ['done', 'stopped'],
  );
  assert.match(readFileSync(join(dir, 'report.html'), 'utf8'), /This is partial/);
});

/** Waits until stderr has said it; the function returned tells all of it. */
async function says(child: ChildProcess, what: RegExp): Promise<() => string> {
  let text = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (what.test(text)) resolve();
    });
    child.once('exit', () => reject(new Error(`it ended: ${text}`)));
  });
  return () => text;
}
