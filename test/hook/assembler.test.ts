/** Golden bytes of each instruction (opcodes of linux/bpf.h, worked out by hand), labels, and the author's mistakes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BPF_FUNC_map_lookup_elem, BPF_FUNC_redirect } from '../../src/abi/bpf_skb.js';
import { Assembler, AssemblyError } from '../../src/hook/assembler.js';
import { list } from '../../src/hook/listing.js';
import type { Register } from '../../src/hook/operations.js';

/** What is written, the bytes `code registers offset immediate`, and the listing's words. */
const ROWS: [write: (a: Assembler) => void, hex: string, text: string][] = [
  [(a) => a.mov('r1', 'r2'), 'bf 21 0000 00000000', '(bf) r1 = r2'],
  [(a) => a.mov('r0', -1), 'b7 00 0000 ffffffff', '(b7) r0 = -1'],
  [(a) => a.mov('r9', 0x7fffffff), 'b7 09 0000 ffffff7f', '(b7) r9 = 2147483647'],
  [(a) => a.alu('add', 'r1', 5), '07 01 0000 05000000', '(07) r1 += 5'],
  [(a) => a.alu('add', 'r1', 'r9'), '0f 91 0000 00000000', '(0f) r1 += r9'],
  [(a) => a.alu('sub', 'r3', 'r4'), '1f 43 0000 00000000', '(1f) r3 -= r4'],
  [(a) => a.alu('sub', 'r3', 1), '17 03 0000 01000000', '(17) r3 -= 1'],
  [(a) => a.alu('mul', 'r3', 'r4'), '2f 43 0000 00000000', '(2f) r3 *= r4'],
  [(a) => a.alu('div', 'r3', 10), '37 03 0000 0a000000', '(37) r3 /= 10'],
  [(a) => a.alu('or', 'r3', 'r4'), '4f 43 0000 00000000', '(4f) r3 |= r4'],
  [(a) => a.alu('and', 'r3', 0xff), '57 03 0000 ff000000', '(57) r3 &= 255'],
  [(a) => a.alu('lsh', 'r3', 32), '67 03 0000 20000000', '(67) r3 <<= 32'],
  [(a) => a.alu('rsh', 'r3', 63), '77 03 0000 3f000000', '(77) r3 >>= 63'],
  [(a) => a.alu('rsh', 'r3', 'r4'), '7f 43 0000 00000000', '(7f) r3 >>= r4'],
  [(a) => a.neg('r3'), '87 03 0000 00000000', '(87) r3 = -r3'],
  [(a) => a.alu('mod', 'r3', 'r4'), '9f 43 0000 00000000', '(9f) r3 %= r4'],
  [(a) => a.alu('xor', 'r3', -1), 'a7 03 0000 ffffffff', '(a7) r3 ^= -1'],
  [(a) => a.alu('arsh', 'r3', 7), 'c7 03 0000 07000000', '(c7) r3 s>>= 7'],
  [(a) => a.alu32('mov', 'r1', 'r2'), 'bc 21 0000 00000000', '(bc) w1 = w2'],
  [(a) => a.alu32('mov', 'r1', 0xffffffff), 'b4 01 0000 ffffffff', '(b4) w1 = -1'],
  [(a) => a.alu32('add', 'r1', 'r2'), '0c 21 0000 00000000', '(0c) w1 += w2'],
  [(a) => a.alu32('lsh', 'r1', 31), '64 01 0000 1f000000', '(64) w1 <<= 31'],
  [(a) => a.alu32('arsh', 'r1', 'r2'), 'cc 21 0000 00000000', '(cc) w1 s>>= w2'],
  [(a) => a.neg32('r1'), '84 01 0000 00000000', '(84) w1 = -w1'],
  [(a) => a.bigEndian('r1', 16), 'dc 01 0000 10000000', '(dc) r1 = be16 r1'],
  [(a) => a.bigEndian('r1', 32), 'dc 01 0000 20000000', '(dc) r1 = be32 r1'],
  [(a) => a.bigEndian('r1', 64), 'dc 01 0000 40000000', '(dc) r1 = be64 r1'],
  [(a) => a.littleEndian('r1', 16), 'd4 01 0000 10000000', '(d4) r1 = le16 r1'],
  [
    (a) => a.mov64('r5', 0x1122334455667788n),
    '18 05 0000 88776655 00 00 0000 44332211',
    '(18) r5 = 0x1122334455667788',
  ],
  [(a) => a.mov64('r5', -1n), '18 05 0000 ffffffff 00 00 0000 ffffffff', '(18) r5 = 0xffffffffffffffff'],
  [(a) => a.loadMap('r1', 'macs'), '18 11 0000 07000000 00 00 0000 00000000', '(18) r1 = map[7]'],
  [
    (a) => a.loadMapValue('r1', 'macs', 12),
    '18 21 0000 07000000 00 00 0000 0c000000',
    '(18) r1 = map[7][0]+12',
  ],
  [(a) => a.load('u8', 'r1', 'r2', 0), '71 21 0000 00000000', '(71) r1 = *(u8 *)(r2 +0)'],
  [(a) => a.load('u16', 'r1', 'r2', 12), '69 21 0c00 00000000', '(69) r1 = *(u16 *)(r2 +12)'],
  [(a) => a.load('u32', 'r1', 'r2', 76), '61 21 4c00 00000000', '(61) r1 = *(u32 *)(r2 +76)'],
  [(a) => a.load('u64', 'r1', 'r10', -8), '79 a1 f8ff 00000000', '(79) r1 = *(u64 *)(r10 -8)'],
  [(a) => a.store('u8', 'r10', -1, 'r3'), '73 3a ffff 00000000', '(73) *(u8 *)(r10 -1) = r3'],
  [(a) => a.store('u16', 'r2', 4, 'r3'), '6b 32 0400 00000000', '(6b) *(u16 *)(r2 +4) = r3'],
  [(a) => a.store('u32', 'r2', 4, 'r3'), '63 32 0400 00000000', '(63) *(u32 *)(r2 +4) = r3'],
  [(a) => a.store('u64', 'r2', 8, 'r3'), '7b 32 0800 00000000', '(7b) *(u64 *)(r2 +8) = r3'],
  [(a) => a.store('u8', 'r10', -1, 255), '72 0a ffff ff000000', '(72) *(u8 *)(r10 -1) = 255'],
  [(a) => a.store('u16', 'r10', -2, 1), '6a 0a feff 01000000', '(6a) *(u16 *)(r10 -2) = 1'],
  [(a) => a.store('u32', 'r10', -4, 1), '62 0a fcff 01000000', '(62) *(u32 *)(r10 -4) = 1'],
  [(a) => a.store('u64', 'r10', -8, -2), '7a 0a f8ff feffffff', '(7a) *(u64 *)(r10 -8) = -2'],
  [(a) => a.atomic('add', 'u32', 'r2', 4, 'r3'), 'c3 32 0400 00000000', '(c3) lock *(u32 *)(r2 +4) += r3'],
  [(a) => a.atomic('add', 'u64', 'r2', 8, 'r3'), 'db 32 0800 00000000', '(db) lock *(u64 *)(r2 +8) += r3'],
  [(a) => a.atomic('or', 'u64', 'r2', 0, 'r3'), 'db 32 0000 40000000', '(db) lock *(u64 *)(r2 +0) |= r3'],
  [(a) => a.atomic('and', 'u64', 'r2', 0, 'r3'), 'db 32 0000 50000000', '(db) lock *(u64 *)(r2 +0) &= r3'],
  [(a) => a.atomic('xor', 'u64', 'r2', 0, 'r3'), 'db 32 0000 a0000000', '(db) lock *(u64 *)(r2 +0) ^= r3'],
  [
    (a) => a.atomic('fetch_add', 'u64', 'r2', 0, 'r3'),
    'db 32 0000 01000000',
    '(db) r3 = atomic64_fetch_add((u64 *)(r2 +0), r3)',
  ],
  [
    (a) => a.atomic('fetch_or', 'u32', 'r2', 0, 'r3'),
    'c3 32 0000 41000000',
    '(c3) r3 = atomic_fetch_or((u32 *)(r2 +0), r3)',
  ],
  [
    (a) => a.atomic('fetch_and', 'u64', 'r2', 0, 'r3'),
    'db 32 0000 51000000',
    '(db) r3 = atomic64_fetch_and((u64 *)(r2 +0), r3)',
  ],
  [
    (a) => a.atomic('fetch_xor', 'u64', 'r2', 0, 'r3'),
    'db 32 0000 a1000000',
    '(db) r3 = atomic64_fetch_xor((u64 *)(r2 +0), r3)',
  ],
  [
    (a) => a.atomic('xchg', 'u64', 'r2', 0, 'r3'),
    'db 32 0000 e1000000',
    '(db) r3 = atomic64_xchg((u64 *)(r2 +0), r3)',
  ],
  [
    (a) => a.atomic('cmpxchg', 'u64', 'r2', 0, 'r3'),
    'db 32 0000 f1000000',
    '(db) r0 = atomic64_cmpxchg((u64 *)(r2 +0), r0, r3)',
  ],
  [(a) => a.call(BPF_FUNC_map_lookup_elem), '85 00 0000 01000000', '(85) call map_lookup_elem#1'],
  [(a) => a.call(BPF_FUNC_redirect), '85 00 0000 17000000', '(85) call redirect#23'],
  [(a) => a.call(500), '85 00 0000 f4010000', '(85) call helper#500'],
  [(a) => a.exit(), '95 00 0000 00000000', '(95) exit'],
];

/** Conditional jumps over one instruction: code with an immediate (0x05 + condition), sign. */
const JUMPS: [condition: Parameters<Assembler['jump']>[0], code: number, sign: string][] = [
  ['eq', 0x10, '=='],
  ['gt', 0x20, '>'],
  ['ge', 0x30, '>='],
  ['set', 0x40, '&'],
  ['ne', 0x50, '!='],
  ['sgt', 0x60, 's>'],
  ['sge', 0x70, 's>='],
  ['lt', 0xa0, '<'],
  ['le', 0xb0, '<='],
  ['slt', 0xc0, 's<'],
  ['sle', 0xd0, 's<='],
];

const bytesOf = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex');

test('each instruction is its golden bytes and its line', () => {
  for (const [write, hex, text] of ROWS) {
    const a = new Assembler('golden');
    write(a);
    const code = a.assemble().link({ macs: 7 });
    assert.deepEqual(Buffer.from(code), bytesOf(hex), text);
    assert.deepEqual(
      list(code).map((line) => line.text),
      [text],
    );
  }
});

test('each condition, of 64 and 32 bits, with immediate and register', () => {
  for (const [condition, code, sign] of JUMPS) {
    for (const [kind, letter, jump] of [
      [0x05, 'r', 'jump'],
      [0x06, 'w', 'jump32'],
    ] as const) {
      const a = new Assembler('golden');
      a[jump](condition, 'r3', -2, 'end');
      a[jump](condition, 'r3', 'r4', 'end');
      a.label('end');
      a.exit();
      const bytes = a.assemble().link({});
      assert.deepEqual(
        [...bytes.subarray(0, 8)],
        [kind | code, 0x03, 1, 0, 0xfe, 0xff, 0xff, 0xff],
        condition,
      );
      assert.deepEqual([...bytes.subarray(8, 16)], [kind | code | 8, 0x43, 0, 0, 0, 0, 0, 0], condition);
      const [first, second] = list(bytes);
      assert.equal(first.text.slice(5), `if ${letter}3 ${sign} 0xfffffffe goto pc+1`);
      assert.equal(second.text.slice(5), `if ${letter}3 ${sign} ${letter}4 goto pc+0`);
    }
  }
});

test('labels: forwards, backwards, over two-slot instructions', () => {
  const a = new Assembler('labels');
  a.label('top');
  a.mov64('r1', 1n);
  a.jump('eq', 'r1', 1, 'end');
  a.goto('top');
  a.label('end');
  a.exit();
  const program = a.assemble();
  const view = new DataView(program.link({}).buffer);
  assert.equal(view.getInt16(2 * 8 + 2, true), 1);
  assert.equal(view.getInt16(3 * 8 + 2, true), -4);
  assert.deepEqual(
    [...program.labels],
    [
      ['top', 0],
      ['end', 4],
    ],
  );
  assert.equal(program.length, 5);
  assert.equal(program.place(3), 'top+3');
  assert.equal(program.place(4), 'end');
  assert.equal(
    program.listing(),
    [
      'top:',
      '    0: (18) r1 = 0x1',
      '    2: (15) if r1 == 0x1 goto pc+1',
      '    3: (05) goto pc-4',
      'end:',
      '    4: (95) exit',
    ].join('\n'),
  );
});

test('maps are names until linked, and every use gets the descriptor', () => {
  const a = new Assembler('maps');
  a.loadMap('r1', 'macs');
  a.loadMap('r2', 'ports');
  a.loadMapValue('r3', 'macs', 4);
  a.exit();
  const program = a.assemble();
  assert.deepEqual(program.maps, ['macs', 'ports']);
  assert.match(program.listing(), /r1 = map\[macs\]\n.*r2 = map\[ports\]\n.*r3 = map\[macs\]\[0\]\+4/);
  const view = new DataView(program.link({ macs: 11, ports: 12 }).buffer);
  assert.deepEqual(
    [0, 2, 4].map((at) => view.getInt32(at * 8 + 4, true)),
    [11, 12, 11],
  );
  assert.throws(() => program.link({ macs: 11 }), /maps: no descriptor for map ports/);
  assert.equal(new DataView(program.link({ macs: 1, ports: 2 }).buffer).getInt32(4, true), 1, 'links anew');
});

test('mistakes say program, instruction and what is wrong', () => {
  const mistakes: [write: (a: Assembler) => void, message: RegExp][] = [
    [(a) => a.mov('r10', 1), /^wrong, instruction 1: r10 cannot be written/],
    [(a) => a.load('u8', 'r10', 'r1', 0), /r10 cannot be written/],
    [(a) => a.mov('r11' as Register, 1), /r11 is no register/],
    [(a) => a.mov('r1', 2 ** 32), /4294967296 does not fit 32 bits; mov64/],
    [(a) => a.mov('r1', -(2 ** 31) - 1), /does not fit 32 bits/],
    [(a) => a.mov('r1', 1.5), /1\.5 does not fit/],
    [(a) => a.mov64('r1', 1n << 64n), /does not fit 64 bits/],
    [(a) => a.alu('lsh', 'r1', 64), /a shift by 64 of 64 bits/],
    [(a) => a.alu32('rsh', 'r1', 32), /a shift by 32 of 32 bits/],
    [(a) => a.alu('div', 'r1', 0), /div by 0/],
    [(a) => a.alu32('mod', 'r1', 0), /mod by 0/],
    [(a) => a.load('u8', 'r1', 'r2', 0x8000), /offset 32768 does not fit 16 bits/],
    [(a) => a.store('u8', 'r1', -0x8001, 1), /offset -32769 does not fit 16 bits/],
    [(a) => a.loadMapValue('r1', 'macs', -1), /offset -1 of a map value/],
    [(a) => a.label('here'), /label here is there twice/],
    [
      (a) => {
        a.goto('nowhere');
        a.assemble();
      },
      /instruction 1: no label nowhere/,
    ],
    [
      (a) => {
        a.goto('end');
        a.label('end');
        a.assemble();
      },
      /label end stands behind the last instruction/,
    ],
  ];
  for (const [write, message] of mistakes) {
    const a = new Assembler('wrong');
    a.label('here');
    a.mov('r0', 0);
    assert.throws(
      () => write(a),
      (error: unknown) => {
        assert.ok(error instanceof AssemblyError);
        assert.match(error.message, message);
        return true;
      },
    );
  }
});

test('a jump reaches 32767 instructions and no further', () => {
  const far = (distance: number) => {
    const a = new Assembler('far');
    a.goto('end');
    for (let i = 0; i < distance; i++) a.mov('r0', 0);
    a.label('end');
    a.exit();
    return a.assemble();
  };
  assert.equal(new DataView(far(32767).link({}).buffer).getInt16(2, true), 32767);
  assert.throws(() => far(32768), /label end is 32768 instructions away, 32767 is the most/);
});

test('unique labels never meet', () => {
  const a = new Assembler('unique');
  assert.notEqual(a.unique('x'), a.unique('x'));
});
