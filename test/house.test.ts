/** The house rules that a machine can hold: who may import whom, no cycles, no long files. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/**
 * Each folder of src/ and what it may import: folders, or single files written with a slash.
 * Downwards only: a folder stands below every folder that imports it.
 */
const ARROWS: Record<string, string[]> = {
  abi: [],
  sys: ['abi'],
  hook: ['sys', 'abi'],
  arena: ['layouts', 'sys', 'abi'],
  xen: ['arena', 'layouts', 'sys', 'abi'],
  datapath: ['arena', 'layouts', 'abi'],
  tap: ['datapath', 'arena', 'layouts', 'sys', 'abi'],
  vhost: ['datapath', 'arena', 'layouts', 'sys', 'abi'],
  transfer: ['xen', 'datapath', 'arena', 'layouts', 'abi'],
  netif: ['transfer', 'xen', 'datapath', 'arena', 'layouts', 'sys/errors', 'sys/inet', 'abi'],
  shard: ['netif', 'tap', 'vhost', 'transfer', 'datapath', 'xen', 'arena', 'layouts', 'sys', 'abi'],
  guest: ['shard', 'netif', 'tap', 'datapath', 'transfer', 'xen', 'arena', 'layouts', 'sys', 'abi'],
  // biome-ignore format: one row a folder
  daemon: ['guest', 'shard', 'netif', 'tap', 'vhost', 'transfer', 'datapath', 'xen', 'arena', 'hook', 'layouts', 'sys', 'abi'],
  // biome-ignore format: one row a folder
  lab: ['daemon', 'guest', 'shard', 'netif', 'tap', 'vhost', 'transfer', 'datapath', 'xen', 'arena', 'hook', 'layouts', 'sys', 'abi'],
  cli: ['lab', 'daemon', 'guest', 'transfer', 'datapath/counters', 'sys/errors', 'sys/icmp', 'abi'],
  web: ['daemon', 'sys/errors', 'abi'],
};

const LAYOUT = /^assembly\/(\w+_)?(layout|counters)$/;

/** The hot loops: compiled by asc, they know each other and the foreign numbers. */
const ASSEMBLY = ['assembly', 'layouts', 'abi'];

/** npm packages and the folders that may import them. Node's own modules are open to all but these two. */
const PACKAGES: Record<string, string[]> = {
  koffi: ['sys'],
  commander: ['cli'],
  'cli-progress': ['cli'],
  '@observablehq/plot': ['lab'],
  linkedom: ['lab'],
  'cli-table3': ['cli'],
  zod: ['xen', 'netif', 'guest', 'daemon', 'lab', 'cli'],
  pino: ['guest', 'daemon', 'cli'],
  'ipaddr.js': ['guest', 'daemon', 'cli'],
};
const NO_NODE_MODULES = ['abi', 'assembly'];

const LINES_MAX = 350;

/** Path from the repository's root, without extension → source. */
type Sources = Map<string, string>;

/** What a file imports, as written: static, re-exported, dynamic, type-only alike. */
function importsOf(source: string): string[] {
  const code = source.replace(/^\s*(\/\/|\/?\*).*$/gm, '');
  const statements = /^\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]/gm;
  const bare = /^\s*import\s*['"]([^'"]+)['"]/gm;
  const dynamic = /\bimport\(\s*['"]([^'"]+)['"]/g;
  return [statements, bare, dynamic].flatMap((pattern) =>
    Array.from(code.matchAll(pattern), (match) => match[1]),
  );
}

/** `src/xen/wire/x` → xen; `assembly/x` → assembly; anything else, and files right under src/, → undefined. */
function folderOf(path: string): string | undefined {
  const parts = path.split('/');
  if (parts[0] === 'src') return parts.length > 2 ? parts[1] : undefined;
  return parts[0] === 'assembly' ? 'assembly' : undefined;
}

/** The file that a relative import names, from the root and without extension. */
function resolve(from: string, specifier: string): string {
  return posix.join(posix.dirname(from), specifier).replace(/\.(js|ts)$/, '');
}

/** Every arrow that the tables do not draw, one sentence each. */
function wrongArrows(sources: Sources): string[] {
  const wrong: string[] = [];
  for (const [path, source] of sources) {
    const folder = folderOf(path);
    const allowed = folder === 'assembly' ? ASSEMBLY : folder && ARROWS[folder];
    if (folder === undefined || !allowed) {
      wrong.push(`${path}: its folder has no row in ARROWS`);
      continue;
    }
    for (const specifier of importsOf(source)) {
      if (!specifier.startsWith('.')) {
        const name = specifier.startsWith('@') ? specifier.split('/', 2).join('/') : specifier.split('/')[0];
        const open = specifier.startsWith('node:')
          ? !NO_NODE_MODULES.includes(folder)
          : (PACKAGES[name]?.includes(folder) ?? false);
        if (!open) wrong.push(`${path} imports ${specifier}: ${folder}/ may not`);
        continue;
      }
      const target = resolve(path, specifier);
      const file = target.replace(/^src\//, '');
      // Records of the arena that both compilers know: plain numbers, open to all who hold an arena.
      const inside = LAYOUT.test(target) ? 'layouts' : folderOf(target);
      const open =
        inside !== undefined && (inside === folder || allowed.includes(inside) || allowed.includes(file));
      if (!open)
        wrong.push(`${path} imports ${target}: ${folder}/ may import ${allowed.join(', ') || 'nothing'}`);
    }
  }
  return wrong;
}

/** One cycle of the graph, as the nodes along it, or undefined. */
function findCycle(graph: Map<string, string[]>): string[] | undefined {
  const finished = new Set<string>();
  const visit = (node: string, trail: string[]): string[] | undefined => {
    if (trail.includes(node)) return [...trail.slice(trail.indexOf(node)), node];
    if (finished.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next, [...trail, node]);
      if (cycle) return cycle;
    }
    finished.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const cycle = visit(node, []);
    if (cycle) return cycle;
  }
  return undefined;
}

function fileGraph(sources: Sources): Map<string, string[]> {
  return new Map(
    Array.from(sources, ([path, source]) => [
      path,
      importsOf(source)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => resolve(path, specifier)),
    ]),
  );
}

function repositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) || !existsSync(join(folder, 'src'))) {
    assert.notEqual(dirname(folder), folder, 'the sources are not above this test');
    folder = dirname(folder);
  }
  return folder;
}

function readSources(...folders: string[]): Sources {
  const root = repositoryRoot();
  const sources: Sources = new Map();
  for (const folder of folders) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      const file = join(entry.parentPath, entry.name);
      const path = relative(root, file).split('\\').join('/');
      sources.set(path.replace(/\.ts$/, ''), readFileSync(file, 'utf8'));
    }
  }
  return sources;
}

test('imports go only where ARROWS and PACKAGES let them', () => {
  const sources = readSources('src', 'assembly');
  assert.ok(sources.size > 0);
  assert.deepEqual(wrongArrows(sources), []);
});

test('no import cycle among files', () => {
  assert.equal(findCycle(fileGraph(readSources('src', 'assembly')))?.join(' → '), undefined);
});

test('ARROWS itself goes downwards only', () => {
  const folders = Object.entries(ARROWS).map(([folder, allowed]): [string, string[]] => [
    folder,
    allowed.map((target) => target.split('/')[0]),
  ]);
  assert.equal(
    findCycle(new Map([...folders, ['layouts', []], ['assembly', ['layouts', 'abi']]]))?.join(' → '),
    undefined,
  );
  for (const [folder, allowed] of folders) {
    for (const target of allowed)
      assert.ok(target in ARROWS || target === 'layouts', `${folder} → ${target}`);
  }
});

test(`no file of src/ or assembly/ is longer than ${LINES_MAX} lines`, () => {
  const long = Array.from(readSources('src', 'assembly'), ([path, source]) => ({
    path,
    lines: source.trimEnd().split('\n').length,
  })).filter(({ lines }) => lines > LINES_MAX);
  assert.deepEqual(long, []);
});

test('the checks see what they are meant to see', () => {
  const verdict = (path: string, source: string) => wrongArrows(new Map([[path, source]])).length;
  const rows: [wrong: number, path: string, source: string][] = [
    [0, 'src/sys/epoll', "import { EPOLLIN } from '../abi/epoll.js';\nimport koffi from 'koffi';"],
    [1, 'src/sys/epoll', "import {\n  a,\n  b,\n} from '../arena/arena.js';"],
    [1, 'src/arena/arena', "import koffi from 'koffi';"],
    [1, 'src/arena/arena', "import type { Port } from '../datapath/port.js';"],
    [1, 'src/arena/arena', "export * from '../datapath/port.js';"],
    [1, 'src/arena/arena', "const port = await import('../datapath/port.js');"],
    [1, 'src/arena/arena', "import '../datapath/port.js';"],
    [0, 'src/arena/arena', "// import '../datapath/port.js';\n/**\n * import x from '../cli/main.js'\n */"],
    [0, 'src/xen/native/gntdev', "import { x } from '../wire/y.js';\nimport { z } from '../../abi/ring.js';"],
    [0, 'src/datapath/engine', "import { F_LEN } from '../../assembly/layout.js';"],
    [1, 'src/datapath/engine', "import { run } from '../../assembly/index.js';"],
    [
      0,
      'src/cli/main',
      "import { SetupError } from '../sys/errors.js';\nimport { Command } from 'commander';",
    ],
    [1, 'src/cli/main', "import { linkList } from '../sys/netlink.js';"],
    [1, 'src/daemon/plan', "import { main } from '../cli/main.js';"],
    [1, 'src/daemon/plan', "import { load } from '../../bench/load.js';"],
    [1, 'src/daemon/plan', "import { load } from '../../test/load.js';"],
    [1, 'src/daemon/plan', "import left from 'left-pad';"],
    [1, 'src/abi/ring', "import { constants } from 'node:os';"],
    [
      0,
      'assembly/ring',
      "import { RING_REQ_PROD } from '../src/abi/ring';\nimport { F_LEN } from './layout';",
    ],
    [1, 'assembly/ring', "import { Arena } from '../src/arena/arena';"],
    [1, 'src/helpers/strings', ''],
    [1, 'src/main', ''],
  ];
  for (const [wrong, path, source] of rows) assert.equal(verdict(path, source), wrong, `${path}: ${source}`);

  const cycle = findCycle(
    fileGraph(
      new Map([
        ['src/xen/a', "import { b } from './wire/b.js';"],
        ['src/xen/wire/b', "import type { c } from '../c.js';"],
        ['src/xen/c', "import { a } from './a.js';"],
      ]),
    ),
  );
  assert.deepEqual(cycle, ['src/xen/a', 'src/xen/wire/b', 'src/xen/c', 'src/xen/a']);
});
