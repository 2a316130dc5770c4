/** The chat's view and the edits: the real server, with an engine whose answers stand in a script. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Workbench, type Ended } from './workbench.ts';

const CODE = 'def total(prices):\n    result = 0\n    for price in prices:\n        result += price\n    return result\n';
const TEXT = `import os\n\n\n${CODE}`;
const SHORT = 'def total(prices):\n    return sum(prices)\n';
const ANSWER = `Two ways:\n\n1. **short**\n2. \`sum(prices)\`\n\n\`\`\`python\n${SHORT}\`\`\`\n\n![x](https://x.example/y.png)`;
const QUESTION = 'What should become of the selected code?';
let bench: Workbench;

before(async () => {
  const answers = {
    'make it short': `\`\`\`python\n${SHORT}\`\`\``,
    'what of this': 'It was not shown to me.',
    'ways are there': ANSWER,
    'result += price': 'It was shown to me.',
  };
  bench = await Workbench.open({ answers, files: { 'a.py': TEXT, 'b.py': TEXT, 'c.py': 'x = 1\n' } });
});
after(() => bench.close());
afterEach((context) => bench.keepIfFailed(context as Ended));

async function ask(question: string): Promise<void> {
  await bench.chat.locator('#question').fill(question);
  await bench.chat.locator('#question').press('Enter');
}

async function answered(n: number, text: string): Promise<void> {
  await bench.chat.locator('article.assistant').nth(n).and(bench.chat.locator('.done', { hasText: text })).waitFor();
}

async function selectTheFunction(name: string): Promise<void> {
  await bench.openFile(name);
  await bench.page.locator('.monaco-editor[data-uri] .view-lines').click();
  await bench.page.keyboard.press('Control+End');
  for (let n = 0; n < 5; n += 1) {
    await bench.page.keyboard.press('Shift+ArrowUp');
  }
}

test('an answer is drawn as Markdown that fetches nothing', async () => {
  await bench.openFile('a.py');
  await bench.waitForState(/Ready/);
  await bench.runCommand('tabby-lsp: Open Chat');
  await bench.chat.locator('#model', { hasText: 'scripted' }).waitFor();
  await ask('Which ways are there?');
  const answer = bench.chat.locator('article.assistant.done');
  await answer.locator('ol li strong', { hasText: 'short' }).waitFor();
  assert.equal(await answer.locator('pre code').textContent(), SHORT);
  assert.equal(await answer.locator('img, a').count(), 0);
});

test('code of an answer is put at the cursor', async () => {
  await bench.openFile('b.py');
  await bench.page.locator('.monaco-editor[data-uri] .view-lines').click();
  await bench.page.keyboard.press('Control+End');
  await bench.chat.locator('[data-action="insert"]').click();
  await bench.waitForText(TEXT + SHORT.trimEnd());
  await bench.page.locator('.monaco-editor[data-uri] .view-lines').click();
  await bench.page.keyboard.press('Control+Z');
  await bench.waitForText(TEXT);
});

test('what is selected goes along until it is taken away', async () => {
  await bench.runCommand('tabby-lsp: New Chat');
  await bench.chat.locator('.invitation').waitFor();
  await selectTheFunction('a.py');
  await bench.chat.locator('#selection', { hasText: 'a.py:4-8' }).waitFor();
  await ask('And?');
  await answered(0, 'It was shown to me.');
  await bench.chat.locator('#drop').click();
  await bench.chat.locator('#selection').waitFor({ state: 'hidden' });
  await ask('And what of this?');
  await answered(1, 'It was not shown to me.');
});

test('the conversation and what is half typed are there again when the view comes back', async () => {
  await bench.chat.locator('#question').fill('half a ques');
  await bench.runCommand('View: Show Explorer');
  await bench.page.locator('.explorer-folders-view').waitFor();
  await bench.runCommand('tabby-lsp: Open Chat');
  await bench.chat.locator('article.user', { hasText: 'And what of this?' }).waitFor();
  assert.equal(await bench.chat.locator('#question').inputValue(), 'half a ques');
  await bench.chat.locator('#question').fill('');
});

test('Explain is answered in the view', async () => {
  await bench.runCommand('tabby-lsp: New Chat');
  await selectTheFunction('a.py');
  await bench.runCommand('tabby-lsp: Explain');
  await bench.chat.locator('article.user', { hasText: 'a.py:4-8' }).waitFor();
  await answered(0, 'It was shown to me.');
});

test('a code action is answered in the view too', async () => {
  await bench.runCommand('tabby-lsp: New Chat');
  await selectTheFunction('a.py');
  await bench.page.keyboard.press('Control+.');
  await bench.page.locator('.action-widget .monaco-list-row', { hasText: 'Explain' }).click();
  await answered(0, 'It was shown to me.');
});

test('Edit asks what to do, changes what is selected and nothing else, and one undo takes it back', async () => {
  await selectTheFunction('a.py');
  await bench.runCommand('tabby-lsp: Edit…');
  await bench.answer(QUESTION, 'make it short');
  await bench.waitForText(`import os\n\n\n${SHORT}`);
  await bench.page.locator('.monaco-editor[data-uri] .view-lines').click();
  await bench.page.keyboard.press('Control+Z');
  await bench.waitForText(TEXT);
});

test('what the model cannot do is said, and nothing is changed', async () => {
  await bench.openFile('c.py');
  await bench.runCommand('tabby-lsp: Edit…');
  await bench.answer(QUESTION, 'something else');
  await bench.page.locator('.notification-toast', { hasText: 'The script has no answer' }).waitFor();
  await bench.waitForText('x = 1\n');
});
