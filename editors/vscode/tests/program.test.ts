import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { find, parse, type Place } from '../src/program.ts';

const programs = new Set<string>();
const here: Place = { env: { PATH: '/usr/bin:bin:/opt/bin' }, home: '/home/a', isWindows: false, isProgram: (path) => programs.has(path) };

function check(command: string, there: string[], found: string | undefined, place: Partial<Place> = {}): void {
  programs.clear();
  there.forEach((path) => programs.add(path));
  assert.equal(find({ command, args: [] }, { ...here, ...place })?.command, found);
}

test('a setting is a program, or a program with its arguments', () => {
  assert.deepEqual(parse('tabby-lsp'), { command: 'tabby-lsp', args: [] });
  assert.deepEqual(parse(['python3', '-m', 'tabby_lsp']), { command: 'python3', args: ['-m', 'tabby_lsp'] });
  for (const wrong of ['', ' ', [], [''], ['a', 1], null, undefined, { command: 'a' }]) {
    assert.equal(parse(wrong), undefined);
  }
});

test('a name is looked for in PATH, in its order', () => {
  check('tabby-lsp', ['/opt/bin/tabby-lsp', '/usr/bin/tabby-lsp'], '/usr/bin/tabby-lsp');
  check('tabby-lsp', [], undefined);
});

test('a folder of PATH that is relative is left out: it may be the workspace', () => {
  check('tabby-lsp', ['bin/tabby-lsp', join(process.cwd(), 'bin/tabby-lsp')], undefined);
});

test('where uv and pipx put programs is looked at last', () => {
  check('tabby-lsp', ['/home/a/.local/bin/tabby-lsp'], '/home/a/.local/bin/tabby-lsp');
});

test('a path is taken as it is, and a relative one not at all', () => {
  check('/opt/t/tabby-lsp', ['/opt/t/tabby-lsp'], '/opt/t/tabby-lsp');
  check('~/t/tabby-lsp', ['/home/a/t/tabby-lsp'], '/home/a/t/tabby-lsp');
  check('./tabby-lsp', ['./tabby-lsp', 'tabby-lsp', '/usr/bin/./tabby-lsp', '/usr/bin/tabby-lsp'], undefined);
});

test('on Windows a name gets its ending, and never that of a script', () => {
  const windows = { isWindows: true, env: { Path: '/c', PATHEXT: '.COM;.EXE;.BAT;.CMD' } };
  check('tabby-lsp', ['/c/tabby-lsp.CMD', '/c/tabby-lsp.EXE'], '/c/tabby-lsp.EXE', windows);
  check('tabby-lsp.exe', ['/c/tabby-lsp.exe'], '/c/tabby-lsp.exe', windows);
  check('tabby-lsp', ['/c/tabby-lsp.CMD', '/c/tabby-lsp'], undefined, windows);
});
