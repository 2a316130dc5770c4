/** What takes long can be stopped: the real server, with a real model that talks nonsense for long. */

import { after, afterEach, before, test } from 'node:test';
import { chatting, Workbench, type Ended } from './workbench.ts';

const LONG = 'def test_one():\n    assert 1 == 1\n\n\n'.repeat(4);
let bench: Workbench;

before(async () => {
  bench = await Workbench.open({ config: chatting(), files: { 'long.py': LONG } });
});
after(() => bench.close());
afterEach((context) => bench.keepIfFailed(context as Ended));

async function ask(question: string): Promise<void> {
  await bench.chat.locator('#question').fill(question);
  await bench.chat.locator('#question').press('Enter');
}

test('Stop ends an answer that streams in, and what was said until then stays', async () => {
  await bench.openFile('long.py');
  await bench.waitForState(/Ready/);
  await bench.runCommand('tabby-lsp: Open Chat');
  await ask(LONG);
  await bench.chat.locator('article.assistant.writing', { hasText: /\w/ }).waitFor();
  await bench.chat.locator('#stop').click();
  await bench.chat.locator('article.assistant.stopped', { hasText: /\w/ }).waitFor();
  await bench.chat.locator('#send').waitFor();
});

test('after that the next question is answered', async () => {
  await ask(LONG);
  await bench.chat.locator('article.assistant').nth(1).and(bench.chat.locator('.writing', { hasText: /\w/ })).waitFor();
  await bench.runCommand('tabby-lsp: New Chat');
  await bench.chat.locator('.invitation').waitFor();
});

test('an edit says how far it is, and can be cancelled', async () => {
  await bench.openFile('long.py');
  await bench.page.locator('.monaco-editor[data-uri] .view-lines').click();
  await bench.page.keyboard.press('Control+A');
  await bench.runCommand('tabby-lsp: Document');
  const toast = bench.page.locator('.notification-toast', { hasText: 'Documenting' });
  await toast.filter({ hasText: /line/ }).waitFor();
  await toast.getByRole('button', { name: 'Cancel' }).click();
  await toast.waitFor({ state: 'hidden' });
  await bench.waitForText(LONG);
});
