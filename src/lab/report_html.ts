/** HTML from templates that escape whatever is put into them, and numbers as people read them. */

/** Text that is HTML already. Made by `html` and `trusted` only. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Value = Html | string | number | false | undefined | readonly Value[];

/** Values are escaped, for text and for attributes in double quotes; Html is not. Lists are joined. */
export function html(parts: TemplateStringsArray, ...values: Value[]): Html {
  return new Html(parts.map((part, i) => (i === 0 ? part : rendered(values[i - 1]) + part)).join(''));
}

/** Markup that this program made, without a word of anybody else's: a style sheet, a serialized DOM. */
export function trusted(markup: string): Html {
  return new Html(markup);
}

function rendered(value: Value): string {
  if (value === undefined || value === false) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'object') return value.map(rendered).join('');
  return escaped(String(value));
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escaped(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

/** Without what HTML and SVG do not allow: control characters but tab and newline, and halves of surrogate pairs. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd');
}

/** NARROW NO-BREAK SPACE: between groups of three digits, as the SI asks for (ISO 80000-1, 7.3.1). */
const THIN = '\u202f';

/** About three significant digits, thousands in groups: `0.034`, `7.81`, `183`, `12 400`. Whole numbers stay whole. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) || size >= 100) return grouped(Math.round(value));
  if (size >= 10) return trimmed(value.toFixed(1));
  if (size >= 1) return trimmed(value.toFixed(2));
  if (size < 1e-6) return minus(value.toExponential(2));
  return minus(String(Number(value.toPrecision(3))));
}

function grouped(whole: number): string {
  if (Math.abs(whole) >= 1e15) return minus(whole.toExponential(2));
  return minus(String(whole)).replace(/\d(?=(\d{3})+$)/g, `$&${THIN}`);
}

function trimmed(digits: string): string {
  return minus(digits.replace(/\.?0+$/, ''));
}

function minus(text: string): string {
  return text.replace(/^-0$/, '0').replaceAll('-', '−');
}

/** `8 s`, `2 min 5 s`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return seconds < 10 ? `${formatNumber(Math.round(seconds * 10) / 10)} s` : `${whole} s`;
  return whole % 60 === 0 ? `${whole / 60} min` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
