import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import * as xs from '../../src/abi/xs_wire.js';
import { encodeMessage, MessageDecoder } from '../../src/xen/wire/message.js';
import {
  onlyString,
  packStrings,
  parseDomid,
  parsePermission,
  stringAndBytes,
  unpackStrings,
} from '../../src/xen/wire/payload.js';
import { Random } from './xenstore_random.js';

/** Rows of [field, bytes in hex], as one buffer. */
const golden = (...rows: [field: string, hex: string][]) =>
  Buffer.from(rows.map(([, hex]) => hex.replaceAll(' ', '')).join(''), 'hex');

const WRITE_REQUEST = golden(
  ['type = XS_WRITE', '0b 00 00 00'],
  ['req_id', '04 03 02 01'],
  ['tx_id', '07 00 00 00'],
  ['len', '07 00 00 00'],
  ['path "/a/b", NUL', '2f 61 2f 62 00'],
  ['value "42", no NUL', '34 32'],
);

const WATCH_EVENT = golden(
  ['type = XS_WATCH_EVENT', '0f 00 00 00'],
  ['req_id = 0', '00 00 00 00'],
  ['tx_id = 0', '00 00 00 00'],
  ['len', '05 00 00 00'],
  ['path "/a", NUL', '2f 61 00'],
  ['token "t", NUL', '74 00'],
);

const ERROR_REPLY = golden(
  ['type = XS_ERROR', '10 00 00 00'],
  ['req_id', '09 00 00 00'],
  ['tx_id', 'ff ff ff ff'],
  ['len', '07 00 00 00'],
  ['name "ENOENT", NUL', '45 4e 4f 45 4e 54 00'],
);

describe('xenstore messages', () => {
  test('encode to the golden bytes', () => {
    const write = Buffer.concat([packStrings(['/a/b']), Buffer.from('42')]);
    assert.deepEqual(encodeMessage(xs.XS_WRITE, 0x01020304, 7, write), WRITE_REQUEST);
    assert.deepEqual(encodeMessage(xs.XS_WATCH_EVENT, 0, 0, packStrings(['/a', 't'])), WATCH_EVENT);
    assert.deepEqual(encodeMessage(xs.XS_ERROR, 9, 0xffffffff, packStrings(['ENOENT'])), ERROR_REPLY);
  });

  test('decode from the golden bytes, however the stream is cut', () => {
    const random = new Random(1);
    const stream = Buffer.concat([WRITE_REQUEST, WATCH_EVENT, ERROR_REPLY]);
    for (let round = 0; round < 200; round++) {
      const decoder = new MessageDecoder();
      const messages = [];
      for (let at = 0; at < stream.length; ) {
        const length = 1 + random.below(round % 2 ? 3 : stream.length);
        decoder.push(stream.subarray(at, at + length));
        for (let m = decoder.next(); m; m = decoder.next()) messages.push(m);
        at += length;
      }
      assert.deepEqual(
        messages.map((m) => [m.type, m.reqId, m.txId, m.payload.toString('latin1')]),
        [
          [xs.XS_WRITE, 0x01020304, 7, '/a/b\x0042'],
          [xs.XS_WATCH_EVENT, 0, 0, '/a\0t\0'],
          [xs.XS_ERROR, 9, 0xffffffff, 'ENOENT\0'],
        ],
      );
      assert.equal(decoder.midMessage, false);
    }
  });

  test('a length beyond 4096 is refused before any payload is awaited', () => {
    for (const length of [4097, 0x7fffffff, 0xffffffff]) {
      const header = Buffer.alloc(xs.XSD_SOCKMSG_SIZE);
      header.writeUInt32LE(length, xs.XSD_SOCKMSG_LEN);
      const decoder = new MessageDecoder();
      decoder.push(header);
      assert.throws(() => decoder.next(), { name: 'XsError', code: 'EPROTO' });
    }
    assert.throws(() => encodeMessage(0, 0, 0, Buffer.alloc(4097)), { code: 'E2BIG' });
    assert.equal(encodeMessage(0, 0, 0, Buffer.alloc(4096)).length, 4112);
  });

  test('strings: NULs end them and cannot be smuggled in', () => {
    assert.throws(() => packStrings(['/a\0/b']), { code: 'EINVAL' });
    assert.deepEqual(unpackStrings(Buffer.from('a\0\0bc\0rest')), ['a', '', 'bc']);
    assert.equal(onlyString(Buffer.from('a\0')), 'a');
    for (const bad of ['', 'a', 'a\0b', 'a\0b\0', 'a\0\0'])
      assert.equal(onlyString(Buffer.from(bad)), undefined);
    assert.equal(stringAndBytes(Buffer.from('no end')), undefined);
    assert.equal(stringAndBytes(Buffer.from('p\0v\0w'))?.rest.toString(), 'v\0w');
  });

  test('permissions and domids', () => {
    assert.deepEqual(parsePermission('b65535'), { access: 'b', domid: 65535 });
    for (const bad of ['', 'b', 'x1', 'r-1', 'r65536', 'r0x1', 'r1 '])
      assert.equal(parsePermission(bad), undefined);
    assert.equal(parseDomid('7'), 7);
    for (const bad of [undefined, '', '1e3', '99999', ' 1']) assert.equal(parseDomid(bad), undefined);
  });
});

const header = '/usr/include/xen/io/xs_wire.h';
const hasCompiler = spawnSync('cc', ['--version']).status === 0;
const skip = !existsSync(header)
  ? `${header} is missing (libxen-dev)`
  : hasCompiler
    ? false
    : 'no C compiler';

test('constants are those of the C header', { skip }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'netferry-xs-wire-'));
  try {
    const offsets: Record<string, string> = {
      XSD_SOCKMSG_TYPE: 'offsetof(struct xsd_sockmsg, type)',
      XSD_SOCKMSG_REQ_ID: 'offsetof(struct xsd_sockmsg, req_id)',
      XSD_SOCKMSG_TX_ID: 'offsetof(struct xsd_sockmsg, tx_id)',
      XSD_SOCKMSG_LEN: 'offsetof(struct xsd_sockmsg, len)',
      XSD_SOCKMSG_SIZE: 'sizeof(struct xsd_sockmsg)',
    };
    const prints = Object.keys(xs).map(
      (name) => `printf("${name} %lu\\n", (unsigned long)${offsets[name] ?? name});`,
    );
    const source = `#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#include "${header}"\nint main(void) { ${prints.join('\n')} }`;
    await writeFile(join(directory, 'print.c'), source);
    const compiled = spawnSync('cc', ['-o', 'print', 'print.c'], { cwd: directory, encoding: 'utf8' });
    assert.equal(compiled.status, 0, compiled.stderr);
    const lines = spawnSync(join(directory, 'print'), { encoding: 'utf8' }).stdout.trim().split('\n');
    assert.deepEqual(Object.fromEntries(lines.map((l) => [l.split(' ')[0], Number(l.split(' ')[1])])), {
      ...xs,
    });
  } finally {
    await rm(directory, { recursive: true });
  }
});
