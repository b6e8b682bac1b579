/** The payloads: strings, each ended by a NUL (docs/misc/xenstore.txt, "Protocol details"). */
import { type XsAccess, XsError, type XsPermission } from '../xenstore.js';

/**
 * `a|b|`. XsError EINVAL for a string that itself contains a NUL: it would read as two.
 * @param encoding the server keeps what it does not interpret (tokens) as latin1, so every byte survives
 */
export function packStrings(strings: readonly string[], encoding: BufferEncoding = 'utf8'): Buffer {
  for (const s of strings) if (s.includes('\0')) throw new XsError('EINVAL', 'string with a NUL in it');
  return Buffer.from(strings.map((s) => `${s}\0`).join(''), encoding);
}

/** All NUL-ended strings; bytes after the last NUL are not one and are left out. */
export function unpackStrings(payload: Buffer, encoding: BufferEncoding = 'utf8'): string[] {
  const strings = payload.toString(encoding).split('\0');
  strings.pop();
  return strings;
}

/** The only string: exactly one NUL, at the end. */
export function onlyString(payload: Buffer): string | undefined {
  return payload.length > 0 && payload.indexOf(0) === payload.length - 1
    ? payload.toString('latin1', 0, payload.length - 1)
    : undefined;
}

/** The first string, and the bytes after its NUL (WRITE's value is not ended by one). */
export function stringAndBytes(payload: Buffer): { head: string; rest: Buffer } | undefined {
  const nul = payload.indexOf(0);
  return nul < 0 ? undefined : { head: payload.toString('latin1', 0, nul), rest: payload.subarray(nul + 1) };
}

/** `b5` */
export const formatPermission = (p: XsPermission): string => `${p.access}${p.domid}`;

/** A letter of rwbn and a decimal domid of 0…65535. */
export function parsePermission(text: string): XsPermission | undefined {
  const match = /^([rwbn])(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const domid = parseDomid(match[2]);
  return domid === undefined ? undefined : { access: match[1] as XsAccess, domid };
}

export function parseDomid(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,5}$/.test(text)) return undefined;
  const domid = Number(text);
  return domid > 65_535 ? undefined : domid;
}
