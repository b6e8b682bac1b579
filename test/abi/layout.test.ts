/**
 * Every constant of src/abi against the C headers themselves: one generated program per file prints what the
 * compiler makes of the names and offsets, and each exported number must be among them and equal.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type HeaderTable, TABLE } from './header_table.js';

const abi = new URL('../../src/abi/', import.meta.url);
const scratch = mkdtempSync(join(tmpdir(), 'netferry-abi-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

const PREAMBLE = `#define _GNU_SOURCE
#define __XEN_TOOLS__ 1 /* xen-compat.h: the latest interface version */
#include <stdio.h>
#include <stddef.h>
#ifdef __x86_64__
#define PACKED(here, elsewhere) (here)
#else
#define PACKED(here, elsewhere) (elsewhere) /* this machine's headers have no packed epoll_event to ask */
#endif
`;

function gcc(args: string[], input?: string): { ok: boolean; stderr: string } {
  const run = spawnSync('gcc', args, { encoding: 'utf8', ...(input === undefined ? {} : { input }) });
  return { ok: run.status === 0, stderr: run.error ? run.error.message : run.stderr };
}

function includes(headers: string[]): string {
  return headers.map((header) => `#include <${header}>\n`).join('');
}

/** Why the headers cannot be asked here, or undefined. */
function missing(headers: string[]): string | undefined {
  const run = gcc(['-E', '-o', '/dev/null', '-x', 'c', '-'], PREAMBLE + includes(headers));
  return run.ok ? undefined : `needs gcc, libxen-dev and linux-libc-dev: ${run.stderr.split('\n')[0]}`;
}

/** What C makes of the names; a NEWER name the installed header does not define is absent. */
function askHeaders(file: string, table: HeaderTable, names: string[]): Map<string, number> {
  const source = join(scratch, `${file}.c`);
  const program = join(scratch, file);
  const lines = names.map((name) => {
    const expression = table.C?.[name] ?? name;
    const line = `  printf("${name}=%lld\\n", (long long)(${expression}));\n`;
    return table.NEWER?.[name] ? `#ifdef ${name}\n${line}#endif\n` : line;
  });
  writeFileSync(
    source,
    `${PREAMBLE}${includes(table.headers)}int main(void) {\n${lines.join('')}  return 0;\n}\n`,
  );
  const build = gcc(['-std=gnu11', '-w', '-o', program, source]);
  assert.ok(build.ok, `src/abi/${file}.ts has names its headers do not know:\n${build.stderr}`);
  const run = spawnSync(program, { encoding: 'utf8' });
  assert.equal(run.status, 0);
  return new Map(
    run.stdout
      .trim()
      .split('\n')
      .map((line) => {
        const [name, value] = line.split('=');
        return [name, Number(value)];
      }),
  );
}

const files = readdirSync(abi)
  .filter((name) => name.endsWith('.js'))
  .map((name) => name.slice(0, -'.js'.length));

for (const file of files) {
  const table = TABLE[file];
  const skip = table === undefined ? undefined : missing(table.headers);
  test(`src/abi/${file}.ts says what the headers say`, { skip: skip ?? false }, async (t) => {
    assert.ok(table !== undefined, `src/abi/${file}.ts has no entry in header_table.ts: nothing proves it`);
    const exported: Record<string, unknown> = await import(new URL(`${file}.js`, abi).href);
    const names = Object.keys(exported);
    assert.ok(names.length > 0);
    const truth = askHeaders(file, table, names);
    for (const name of names) {
      const newer = table.NEWER?.[name];
      if (newer && !truth.has(name))
        t.diagnostic(`${name}: the installed header is older than Linux ${newer.since}`);
      assert.equal(exported[name], truth.get(name) ?? newer?.value, name);
      if (newer) assert.equal(exported[name], newer.value, `${name} since Linux ${newer.since}`);
    }
    for (const name of [...Object.keys(table.C ?? {}), ...Object.keys(table.NEWER ?? {})]) {
      assert.ok(
        name in exported,
        `header_table.ts has a row for ${name}, which src/abi/${file}.ts no longer exports`,
      );
    }
  });
}
