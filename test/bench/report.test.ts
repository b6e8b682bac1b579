import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatValue, meets, Reporter } from '../../bench/report.js';

function reporter(json: boolean): { reporter: Reporter; lines: string[] } {
  const lines: string[] = [];
  return { reporter: new Reporter({ json, colour: false, write: (line) => lines.push(line) }), lines };
}

test('a goal is met on its bound, unless it is strict', () => {
  assert.equal(meets('≤ 100', 100), true);
  assert.equal(meets('≤ 100', 100.1), false);
  assert.equal(meets('<= 0.5 of a core', 0.4), true);
  assert.equal(meets('≥ 0.6 × bare loop', 0.6), true);
  assert.equal(meets('>=2', 1.99), false);
  assert.equal(meets('< 1', 1), false);
  assert.equal(meets('> 1', 1.01), true);
  assert.equal(meets('≥ 0.6', Number.NaN), false);
  assert.throws(() => meets('fast', 1), RangeError);
  assert.throws(() => meets('≤ 1.2.3', 1), RangeError);
});

test('JSON: one object a line, every field present, no headings', () => {
  const { reporter: r, lines } = reporter(true);
  r.group('rings');
  r.figure({
    name: 'frame of 64 bytes',
    value: 34.5,
    unit: 'ns',
    goal: '≤ 100',
    repetitions: 5,
    notes: ['x'],
  });
  r.figure({ name: 'resident memory', value: 80, unit: 'MB' });
  r.skip('iperf3', 'Gb/s', 'iperf3 not found', '≥ 1');
  assert.equal(lines.length, 3);
  const [goal, plain, skipped] = lines.map((line) => JSON.parse(line));
  assert.deepEqual(Object.keys(goal), ['name', 'value', 'unit', 'goal', 'ok', 'skipped', 'conditions']);
  assert.equal(goal.ok, true);
  assert.equal(goal.conditions.node, process.version);
  assert.equal(goal.conditions.repetitions, 5);
  assert.deepEqual(goal.conditions.notes, ['x']);
  assert.ok(goal.conditions.cores >= 1 && goal.conditions.kernel && goal.conditions.cpu);
  assert.deepEqual([plain.goal, plain.ok, plain.skipped], [null, null, null]);
  assert.deepEqual([skipped.value, skipped.ok, skipped.skipped], [null, null, 'iperf3 not found']);
});

test('table: the machine once, a heading a group, columns aligned, no escape codes', () => {
  const { reporter: r, lines } = reporter(false);
  r.group('rings');
  r.figure({ name: 'a', value: 34.5, unit: 'ns', goal: '≤ 100' });
  r.figure({
    name: 'longer name',
    value: 12345,
    unit: 'Mb/s',
    goal: '≥ 20000',
    repetitions: 3,
    notes: ['one core'],
  });
  r.group('idle');
  r.skip('c', '%', 'no taps');
  assert.match(lines[0] ?? '', /cores? · Linux .* · Node v/);
  assert.deepEqual(lines.slice(1, 3), ['', 'rings']);
  assert.match(lines[3] ?? '', /^ {2}a +34\.5 ns +goal ≤ 100 {2}ok$/);
  assert.match(lines[4] ?? '', /12,345 Mb\/s +goal ≥ 20000 {2}MISSED {2}median of 3; one core$/);
  assert.equal(lines[3]?.indexOf(' ns'), lines[4]?.indexOf(' Mb/s'));
  assert.deepEqual(lines.slice(5, 7), ['', 'idle']);
  assert.match(lines[7] ?? '', /^ {2}c +skipped: no taps$/);
  assert.ok(lines.every((line) => !line.includes('\x1b')));
});

test('colours when asked for, and only in the table', () => {
  const lines: string[] = [];
  const r = new Reporter({ colour: true, write: (line) => lines.push(line) });
  r.figure({ name: 'a', value: 2, unit: '', goal: '≤ 1' });
  assert.ok(lines[0]?.includes('\x1b[31mMISSED'));
});

test('missed figures are remembered; skipped ones and those without a goal are not missed', () => {
  const { reporter: r } = reporter(true);
  r.figure({ name: 'good', value: 1, unit: '', goal: '≤ 1' });
  r.figure({ name: 'bad', value: 2, unit: '', goal: '≤ 1' });
  r.figure({ name: 'plain', value: 3, unit: '' });
  r.skip('absent', '', 'why', '≤ 1');
  assert.deepEqual(
    r.missed.map((f) => f.name),
    ['bad'],
  );
  assert.equal(r.figures.length, 4);
});

test('values show about three digits', () => {
  const shown = [0, 0.03401, 0.5, 7.8123, 34.52, 183.4, 12400, -3.2, Number.NaN].map(formatValue);
  assert.deepEqual(shown, ['0', '0.034', '0.5', '7.81', '34.5', '183', '12,400', '-3.20', 'NaN']);
});
