/** Numbers and tables as people read them. */
import Table from 'cli-table3';

const STEPS = ['', 'k', 'M', 'G', 'T', 'P'];

/** `1.23 M`: three digits and a decimal prefix, then the unit. */
export function human(value: number, unit = ''): string {
  let step = 0;
  let scaled = value;
  // 999.5 would be printed as 1000.
  while (Math.abs(scaled) >= 999.5 && step < STEPS.length - 1) {
    scaled /= 1000;
    step++;
  }
  const digits =
    step === 0 && Number.isInteger(scaled)
      ? 0
      : Math.abs(scaled) < 9.995
        ? 2
        : Math.abs(scaled) < 99.95
          ? 1
          : 0;
  return `${scaled.toFixed(digits)} ${STEPS[step]}${unit}`.trimEnd();
}

/** Bytes: `1.50 MB`. */
export const bytes = (value: number) => human(value, 'B');
/** Bytes a second, as the wire counts: `12.0 Gb/s`. */
export const bitRate = (bytesPerSecond: number) => human(bytesPerSecond * 8, 'b/s');
/** Frames a second: `250 kpps`. */
export const frameRate = (framesPerSecond: number) => human(framesPerSecond, 'pps');

/** `3 d 04:05:06`, or without the days. */
export function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  const clock = [whole / 3600, whole / 60, whole].map((part, i) =>
    two(Math.floor(part) % (i === 0 ? 24 : 60)),
  );
  const days = Math.floor(whole / 86400);
  return `${days > 0 ? `${days} d ` : ''}${clock.join(':')}`;
}

/** Minutes and seconds: `2:05`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** Drops by reason, the most first: `rx-full 12, runt 1`; `-` when there are none. */
export function dropsText(drops: Readonly<Record<string, number>>): string {
  const entries = Object.entries(drops).sort(([, a], [, b]) => b - a);
  return entries.map(([reason, n]) => `${reason} ${human(n)}`).join(', ') || '-';
}

const BARE = {
  top: '', 'top-mid': '', 'top-left': '', 'top-right': '',
  bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '',
  left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ',
}; // biome-ignore format: four corners

/** Columns without lines, ending in a newline. Columns whose numbers are in `right` are right-aligned. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const drawn = new Table({
    head: [...head],
    chars: BARE,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: head.map((_, i) => (right.includes(i) ? 'right' : 'left')),
  });
  drawn.push(...rows.map((row) => [...row]));
  return `${drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`;
}
