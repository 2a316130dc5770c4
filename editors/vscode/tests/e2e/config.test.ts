/** What goes before anything works: the user's own file, a folder that nobody trusts, no program, a dead one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { poll, Workbench } from './workbench.ts';

test('what nobody has set in VSCode does not stand over the user\'s own file', async () => {
  const config = '[completion]\nenabled = false\n';
  const bench = await Workbench.open({ config, files: { 'a.py': 'import os\n' } });
  try {
    await bench.openFile('a.py');
    await bench.waitForState(/is loaded when it is first needed/);
    await bench.page.locator('.monaco-editor[data-uri] .view-lines').click();
    await bench.waitForDecision('empty: disabled', 'a.py:');
  } finally {
    await bench.close();
  }
});

test('where there is no program, one message says so and leads to the setting', async () => {
  const bench = await Workbench.open({ isWithoutServer: true, files: { 'a.py': 'import os\n' } });
  try {
    const message = bench.page.locator('.notification-toast', { hasText: '"tabby-lsp" was not found' });
    await message.filter({ hasText: 'uv tool install' }).waitFor();
    await bench.waitForState(/was not found/);
    await message.getByRole('button', { name: 'Say where it is' }).click();
    await bench.page.locator('.settings-editor', { hasText: 'Never taken from a workspace' }).waitFor();
  } finally {
    await bench.close();
  }
});

test('a folder that is not trusted cannot choose the model', async () => {
  const folder = JSON.stringify({ 'tabby-lsp.model': 'of-the-folder', 'tabby-lsp.completion.maxTokens': 5 });
  const settings = { 'security.workspace.trust.enabled': true, 'security.workspace.trust.startupPrompt': 'never' };
  const bench = await Workbench.open({ settings, files: { 'a.py': 'import os\n', '.vscode/settings.json': folder } });
  try {
    await bench.page.locator('.statusbar-item', { hasText: 'Restricted Mode' }).waitFor();
    await bench.openFile('a.py');
    await bench.waitForState(/Ready: the model starter/);
  } finally {
    await bench.close();
  }
});

test('a server that has died is started again', async () => {
  const bench = await Workbench.open({ files: { 'a.py': 'class A:\n    def __init__(self, x):\n        self' } });
  try {
    await bench.openFile('a.py');
    await bench.waitForState(/Ready/);
    const [dead] = bench.servers();
    process.kill(dead!, 'SIGKILL');
    await poll(async () => bench.servers().some((pid) => pid !== dead), async () => 'another server');
    await bench.waitForState(/Ready/);
    await bench.page.locator('.monaco-editor[data-uri] .view-lines').click();
    await bench.page.keyboard.press('Control+End');
    await bench.page.keyboard.type('.');
    assert.match(await bench.ghost(), /x/);
  } finally {
    await bench.close();
  }
});
