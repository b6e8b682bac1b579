/** The kernel's word on the assembler and loader: what it makes of the bytes, what they compute, what it refuses. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_NOEXIST } from '../../src/abi/bpf.js';
import {
  BPF_FUNC_get_prandom_u32,
  BPF_FUNC_map_lookup_elem,
  SKB_DATA,
  SKB_DATA_END,
  SKB_LEN,
} from '../../src/abi/bpf_skb.js';
import { Assembler } from '../../src/hook/assembler.js';
import { list } from '../../src/hook/listing.js';
import { loadProgram } from '../../src/hook/loader.js';
import {
  loadClassifier,
  mapCreate,
  mapDelete,
  mapInfo,
  mapLookup,
  mapUpdate,
  programInfo,
  programName,
  programTestRun,
} from '../../src/sys/bpf.js';
import { entriesByBatch, entriesByKey, mapKeys } from '../../src/sys/bpf_entries.js';
import { countCpus } from '../../src/sys/cpus.js';
import { SysError } from '../../src/sys/errors.js';
import { close } from '../../src/sys/libc.js';
import { readLog, VerifierError } from '../../src/sys/verifier_error.js';
import { lacking } from '../e2e/support/place.js';

const FRAME = new Uint8Array(60).fill(0x11);

/** r0 after the program ran on FRAME, as the kernel shows it: 32 bits, signed. */
function result(write: (a: Assembler) => void, maps: Record<string, number> = {}): number {
  const a = new Assembler('test_run');
  write(a);
  a.exit();
  const fd = loadProgram(a.assemble(), maps);
  try {
    return programTestRun(fd, FRAME).verdict;
  } finally {
    close(fd);
  }
}

describe('eBPF in the kernel', { skip: lacking('bpftool') }, () => {
  test('bpftool prog dump xlated shows every instruction as our listing does', () => {
    const a = new Assembler('every_insn');
    // Values that the verifier cannot know, or it would cut the branches away.
    for (const register of ['r6', 'r7', 'r8'] as const) {
      a.call(BPF_FUNC_get_prandom_u32);
      a.mov(register, 'r0');
    }
    for (const operation of ['add', 'sub', 'mul', 'or', 'and', 'xor', 'mov'] as const) {
      a.alu(operation, 'r6', 'r7');
      a.alu(operation, 'r6', 77);
      a.alu32(operation, 'r7', 'r8');
      a.alu32(operation, 'r7', -77);
    }
    a.call(BPF_FUNC_get_prandom_u32);
    a.mov('r6', 'r0');
    a.mov('r7', 'r0');
    for (const operation of ['lsh', 'rsh', 'arsh'] as const) {
      a.alu(operation, 'r6', 5);
      a.alu32(operation, 'r6', 6);
      a.alu(operation, 'r6', 'r7');
    }
    a.alu('div', 'r6', 9);
    a.alu('mod', 'r6', 9);
    a.neg('r6');
    a.neg32('r6');
    for (const bits of [16, 32, 64] as const) {
      a.bigEndian('r6', bits);
      a.littleEndian('r6', bits);
    }
    a.mov64('r9', 0x1234_5678_9abc_def0n);
    for (const [width, offset] of [
      ['u8', -1],
      ['u16', -4],
      ['u32', -8],
      ['u64', -16],
    ] as const) {
      a.store(width, 'r10', offset, 'r6');
      a.store(width, 'r10', offset, 3);
      a.load(width, 'r6', 'r10', offset);
    }
    for (const operation of [
      'add',
      'or',
      'and',
      'xor',
      'fetch_add',
      'fetch_or',
      'xchg',
      'cmpxchg',
    ] as const) {
      a.atomic(operation, 'u64', 'r10', -16, 'r9');
      a.atomic(operation, 'u32', 'r10', -16, 'r9');
    }
    const conditions = ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'sgt', 'sge', 'slt', 'sle', 'set'] as const;
    for (const condition of conditions) {
      for (const jump of ['jump', 'jump32'] as const) {
        a.call(BPF_FUNC_get_prandom_u32);
        a.mov('r6', 'r0');
        a.call(BPF_FUNC_get_prandom_u32);
        a[jump](condition, 'r6', 'r0', 'end');
        a[jump](condition, 'r6', 1000, 'end');
      }
    }
    a.mov('r0', 0);
    a.exit();
    a.label('end');
    a.mov('r0', 1);
    a.exit();
    const program = a.assemble();
    const fd = loadProgram(program, {});
    try {
      const { id } = programInfo(fd);
      const dump = spawnSync('bpftool', ['prog', 'dump', 'xlated', 'id', `${id}`], { encoding: 'utf8' });
      assert.equal(dump.status, 0, dump.stderr);
      // Of a helper the kernel keeps only where it lies.
      const plain = (line: string) => line.replace(/call (\w+)#.*/, 'call').trim();
      const theirs = dump.stdout.trim().split('\n').map(plain);
      const ours = list(program.link({})).map(({ at, text }) => plain(`${at}: ${text}`));
      assert.ok(ours.length > 130);
      assert.deepEqual(theirs, ours);
    } finally {
      close(fd);
    }
  });

  test('the instructions compute what their names say', () => {
    const rows: [write: (a: Assembler) => void, expected: number][] = [
      [
        (a) => {
          a.mov('r0', 7);
          a.alu('add', 'r0', -9);
        },
        -2,
      ],
      [
        (a) => {
          a.mov('r0', 7);
          a.mov('r1', 3);
          a.alu('sub', 'r0', 'r1');
        },
        4,
      ],
      [
        (a) => {
          a.mov('r0', 7);
          a.alu('mul', 'r0', 6);
        },
        42,
      ],
      [
        (a) => {
          a.mov('r0', 43);
          a.alu('div', 'r0', 6);
        },
        7,
      ],
      [
        (a) => {
          a.mov('r0', 43);
          a.alu('mod', 'r0', 6);
        },
        1,
      ],
      [
        (a) => {
          a.mov('r0', -8);
          a.alu('arsh', 'r0', 1);
        },
        -4,
      ],
      [
        (a) => {
          a.mov64('r0', 0xffff_ffff_0000_0000n);
          a.alu('rsh', 'r0', 36);
        },
        0x0fff_ffff,
      ],
      [
        (a) => {
          a.mov('r0', -1);
          a.alu32('add', 'r0', 0);
          a.alu('rsh', 'r0', 32);
        },
        0,
      ],
      [
        (a) => {
          a.mov('r0', 0x1234);
          a.bigEndian('r0', 16);
        },
        0x3412,
      ],
      [
        (a) => {
          a.mov('r0', 0x12345678);
          a.bigEndian('r0', 32);
        },
        0x78563412,
      ],
      [
        (a) => {
          a.mov64('r0', 0x1122n << 48n);
          a.bigEndian('r0', 64);
        },
        0x2211,
      ],
      [
        (a) => {
          a.mov('r0', 0x12345678);
          a.littleEndian('r0', 16);
        },
        0x5678,
      ],
      [
        (a) => {
          a.mov('r0', 5);
          a.neg('r0');
        },
        -5,
      ],
      [(a) => a.load('u32', 'r0', 'r1', SKB_LEN), FRAME.length],
      [
        (a) => {
          a.store('u64', 'r10', -8, 40);
          a.mov('r1', 2);
          a.atomic('fetch_add', 'u64', 'r10', -8, 'r1');
          a.load('u64', 'r0', 'r10', -8);
          a.alu('lsh', 'r0', 8);
          a.alu('or', 'r0', 'r1');
        },
        (42 << 8) | 40,
      ],
      [
        (a) => {
          a.store('u32', 'r10', -4, 5);
          a.mov('r0', 5);
          a.mov('r1', 9);
          a.atomic('cmpxchg', 'u32', 'r10', -4, 'r1');
          a.load('u32', 'r1', 'r10', -4);
          a.alu('lsh', 'r0', 8);
          a.alu('or', 'r0', 'r1');
        },
        (5 << 8) | 9,
      ],
      [
        (a) => {
          // Signed and unsigned, 64 and 32 bits, see -1 differently.
          a.mov('r0', 0);
          a.mov('r1', -1);
          a.jump('gt', 'r1', 1, 'unsigned');
          a.exit();
          a.label('unsigned');
          a.jump('sgt', 'r1', 1, 'end');
          a.alu32('mov', 'r1', 'r1');
          a.jump('slt', 'r1', 0, 'end');
          a.jump32('slt', 'r1', 0, 'right');
          a.goto('end');
          a.label('right');
          a.mov('r0', 1);
          a.label('end');
        },
        1,
      ],
      [
        (a) => {
          a.mov('r0', 0);
          a.mov('r1', 10);
          a.label('loop');
          a.alu('add', 'r0', 'r1');
          a.alu('sub', 'r1', 1);
          a.jump('ne', 'r1', 0, 'loop');
        },
        55,
      ],
    ];
    for (const [i, [write, expected]] of rows.entries()) assert.equal(result(write), expected, `row ${i}`);
  });

  test('maps: from programs by helper and by value address, from here by all commands', () => {
    const hash = mapCreate({ name: 'h', type: BPF_MAP_TYPE_HASH, keySize: 4, valueSize: 8, maxEntries: 2 });
    const array = mapCreate({
      name: 'a',
      type: BPF_MAP_TYPE_ARRAY,
      keySize: 4,
      valueSize: 16,
      maxEntries: 1,
    });
    try {
      const key = (n: number) => Uint8Array.of(n, 0, 0, 0);
      const value = (n: number) => Uint8Array.of(n, 0, 0, 0, 0, 0, 0, 0);
      mapUpdate(hash, key(1), value(41));
      mapUpdate(hash, key(2), value(42), BPF_NOEXIST);
      const code = (expected: string) => (error: unknown) =>
        error instanceof SysError && error.code === expected;
      assert.throws(() => mapUpdate(hash, key(2), value(1), BPF_NOEXIST), code('EEXIST'));
      assert.throws(() => mapUpdate(hash, key(3), value(1)), code('E2BIG'));
      const seen = new Uint8Array(8);
      assert.equal(mapLookup(hash, key(2), seen), true);
      assert.equal(seen[0], 42);
      assert.equal(mapLookup(hash, key(9), seen), false);
      assert.deepEqual([...mapKeys(hash, 4)].map(([n]) => n).sort(), [1, 2]);
      for (const entries of [entriesByBatch, entriesByKey]) {
        const found = entries(hash, { keySize: 4, valueSize: 8, most: 2 });
        assert.equal(found?.count, 2);
        const pairs = [0, 1].map((i) => [
          found.keys.getUint32(i * 4, true),
          found.values.getUint32(i * 8, true),
        ]);
        assert.deepEqual(pairs.sort(), [
          [1, 41],
          [2, 42],
        ]);
      }

      const lookup = (n: number) => (a: Assembler) => {
        a.store('u32', 'r10', -4, n);
        a.loadMap('r1', 'hash');
        a.mov('r2', 'r10');
        a.alu('add', 'r2', -4);
        a.call(BPF_FUNC_map_lookup_elem);
        a.jump('eq', 'r0', 0, 'none');
        a.load('u64', 'r0', 'r0', 0);
        a.label('none');
      };
      assert.equal(result(lookup(2), { hash }), 42);
      assert.equal(result(lookup(9), { hash }), 0);
      mapUpdate(
        array,
        key(0),
        Uint8Array.from({ length: 16 }, (_, i) => i),
      );
      const direct = (a: Assembler) => {
        a.loadMapValue('r1', 'array', 8);
        a.load('u16', 'r0', 'r1', 4);
      };
      assert.equal(result(direct, { array }), 0x0d0c);

      assert.equal(mapDelete(hash, key(1)), true);
      assert.equal(mapDelete(hash, key(1)), false);
      const info = mapInfo(hash);
      assert.deepEqual(
        [info.name, info.type, info.keySize, info.valueSize, info.maxEntries],
        ['h', BPF_MAP_TYPE_HASH, 4, 8, 2],
      );
    } finally {
      close(hash);
      close(array);
    }
  });

  test('a refused program: the instruction by label, the objection, the last lines', () => {
    const a = new Assembler('refused');
    a.mov('r6', 'r1');
    a.label('read_too_far');
    a.load('u32', 'r2', 'r6', SKB_DATA);
    a.load('u32', 'r3', 'r6', SKB_DATA_END);
    a.load('u8', 'r0', 'r2', 0);
    a.exit();
    assert.throws(
      () => loadProgram(a.assemble(), {}),
      (error: unknown) => {
        assert.ok(error instanceof VerifierError);
        assert.equal(error.code, 'EACCES');
        assert.equal(error.instruction, 3);
        assert.match(error.objection, /R2 offset is outside of the packet/);
        assert.match(
          error.message,
          /^the kernel refuses the eBPF program refused at instruction 3 \(read_too_far\+2\), r0 = \*\(u8 \*\)\(r2 \+0\): R2 offset/,
        );
        assert.match(error.hint, /the verifier's last lines:\n[\s\S]*3: \(71\)/);
        assert.ok(error.hint.split('\n').length <= 13);
        return true;
      },
    );
  });

  test('refusals before the first instruction are readable too', () => {
    const refusal = (write: (a: Assembler) => void) => {
      const a = new Assembler('refused');
      write(a);
      try {
        loadProgram(a.assemble(), {});
      } catch (error) {
        assert.ok(error instanceof VerifierError, String(error));
        return error;
      }
      assert.fail('it was loaded');
    };
    // Falls off its end.
    assert.match(refusal((a) => a.mov('r0', 0)).message, /last insn is not an exit|jump out of range/);
    // Does not come to an end.
    const endless = refusal((a) => {
      a.label('top');
      a.mov('r0', 0);
      a.goto('top');
    });
    assert.match(endless.objection, /infinite loop|unreachable|not an exit|back-edge/);
    assert.match(
      refusal((a) => {
        a.call(9999);
        a.exit();
      }).objection,
      /invalid func|unknown func/,
    );
    assert.match(refusal((a) => a.exit()).objection, /R0 !read_ok/);
  });

  test('a descriptor that is no map, and no instruction at all', () => {
    const a = new Assembler('no_map');
    a.loadMap('r1', 'map');
    a.mov('r0', 0);
    a.exit();
    assert.throws(() => loadProgram(a.assemble(), { map: 0 }), VerifierError);
    assert.throws(
      () => loadClassifier('empty', new Uint8Array(0)),
      (error: unknown) => error instanceof SysError && error.call === 'bpf PROG_LOAD',
    );
  });

  test('a program is known by name as long as it is there', () => {
    const a = new Assembler('named_by_us');
    a.mov('r0', 0);
    a.exit();
    const fd = loadProgram(a.assemble(), {});
    const { id, name } = programInfo(fd);
    assert.equal(name, 'named_by_us');
    assert.equal(programName(id), 'named_by_us');
    close(fd);
  });
});

test('the verifier’s log is read: last instruction, objection, no statistics', () => {
  const log = [
    'func#0 @0',
    '0: R1=ctx() R10=fp0',
    '0: (bf) r6 = r1                       ; R1=ctx() R6_w=ctx()',
    '1: (71) r0 = *(u8 *)(r2 +0)',
    'R2 !read_ok',
    'processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0',
    '',
  ].join('\n');
  const summary = readLog(log);
  assert.equal(summary.instruction, 1);
  assert.equal(summary.code, 'r0 = *(u8 *)(r2 +0)');
  assert.equal(summary.objection, 'R2 !read_ok');
  assert.ok(!summary.lines.some((line) => line.startsWith('processed')));
  assert.deepEqual(readLog(''), { instruction: undefined, code: '', objection: '', lines: [] });
  assert.equal(readLog('unreachable insn 7\n').instruction, 7);
});

test('possible CPUs are counted from the kernel’s list', () => {
  assert.deepEqual(['0', '0-3', '0-3,8', '0,2-4,63\n'].map(countCpus), [1, 4, 5, 5]);
});
