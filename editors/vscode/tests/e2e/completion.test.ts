/** Ghost text, the status bar and settings, with the real server and the model that comes with it. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { poll, Workbench, type Ended } from './workbench.ts';

const POINT = 'class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self';
let bench: Workbench;

before(async () => {
  const hostile = { 'tabbyLsp.server.command': ['/bin/sh', '-c', 'touch "$0"', 'started'] };
  const files = {
    'point.py': POINT,
    'along.py': POINT,
    'off.py': POINT,
    'notes.md': 'Some notes\n',
    '.vscode/settings.json': JSON.stringify(hostile),
  };
  bench = await Workbench.open({ files });
});
after(() => bench.close());
afterEach((context) => bench.keepIfFailed(context as Ended));

async function typeAtEnd(name: string, text: string): Promise<void> {
  await bench.openFile(name);
  await bench.page.locator('.monaco-editor[data-uri] .view-lines').click();
  await bench.page.keyboard.press('Control+End');
  await bench.page.keyboard.type(text);
}

test('ghost text of the real model is drawn, Tab accepts it, and undo takes it back in one step', async () => {
  await bench.openFile('point.py');
  await bench.waitForState(/Ready/);
  await typeAtEnd('point.py', '.');
  const ghost = await bench.ghost();
  assert.ok(ghost.trim());
  await bench.waitForText(`${POINT}.`);
  await bench.screenshot('ghost');
  await bench.page.keyboard.press('Tab');
  await bench.waitForText(`${POINT}.${ghost}`);
  await bench.page.keyboard.press('Control+Z');
  await bench.waitForText(`${POINT}.`);
});

test('who types along the ghost text keeps what is left of it', async () => {
  await typeAtEnd('along.py', '.');
  const ghost = await bench.ghost();
  await bench.page.keyboard.type(ghost[0]!);
  await poll(async () => (await bench.ghost()) === ghost.slice(1), () => bench.ghost());
  await bench.waitForText(`${POINT}.${ghost[0]}`);
});

test('the status bar names the model, and says where it is silent', async () => {
  await bench.openFile('point.py');
  await bench.waitForState(/Ready: the model starter, on this machine/);
  await bench.openFile('notes.md');
  await bench.waitForState(/knows python only, and is silent in markdown/);
});

test('a changed setting holds at once, and the last answers tell it', async () => {
  await bench.runCommand('tabby-lsp: Switch Completion On or Off');
  await bench.waitForState(/Switched off\./);
  await typeAtEnd('off.py', '.');
  await bench.waitForDecision('empty: disabled', 'off.py:4:14');
  await bench.runCommand('tabby-lsp: Switch Completion On or Off');
  await bench.openFile('point.py');
  await bench.waitForState(/Ready/);
});

test('the menu of the status bar switches one language off and on', async () => {
  await bench.openFile('point.py');
  for (const [row, state] of [
    ['Switch completion off in python', /Switched off in python/],
    ['Switch completion on in python', /Ready/],
  ] as const) {
    await bench.item.click();
    await bench.page.locator('.quick-input-list .monaco-list-row', { hasText: row }).click();
    await bench.waitForState(state);
  }
});

test('without a chat model the chat says how to get one, where the answer would stand', async () => {
  await bench.runCommand('tabby-lsp: Open Chat');
  await bench.chat.locator('#question').fill('What is this?');
  await bench.chat.locator('#question').press('Enter');
  await bench.chat.locator('article.failed', { hasText: 'tabby-lsp models pull' }).waitFor();
  await bench.screenshot('chat-error');
});

test('doctor runs in a terminal', async () => {
  await bench.runCommand('tabby-lsp: Examine This Machine');
  await bench.page.locator('.terminal-wrapper').waitFor();
  await bench.page.locator('.xterm-rows', { hasText: 'completion: loaded' }).waitFor();
  await bench.page.keyboard.press('Control+J');
});

test('a folder cannot say which program is started', () => {
  assert.equal(existsSync(join(bench.folder, 'started')), false);
});
