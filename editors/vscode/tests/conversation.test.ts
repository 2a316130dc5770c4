import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, fenced, messagesOf, write, type Turn } from '../src/chat/conversation.ts';

function told(turns: readonly Turn[]): string[] {
  return messagesOf(turns).map(({ role, content }) => `${role}: ${content}`);
}

test('the model is given the questions, the answers and the last question', () => {
  let turns = ask([], { text: 'one' });
  assert.deepEqual(told(turns), ['user: one']);
  turns = write(turns, { state: 'done', text: 'two' });
  assert.deepEqual(told(ask(turns, { text: 'three' })), ['user: one', 'assistant: two', 'user: three']);
});

test('what failed is not told, with its question; what was stopped is, as far as it came', () => {
  let turns = write(ask([], { text: 'one' }), { state: 'failed', text: 'No model.' });
  assert.deepEqual(told(ask(turns, { text: 'two' })), ['user: two']);
  turns = write(write(ask([], { text: 'one' }), { text: 'hal' }), { state: 'stopped' });
  assert.deepEqual(told(ask(turns, { text: 'two' })), ['user: one', 'assistant: hal', 'user: two']);
  turns = write(ask([], { text: 'one' }), { state: 'stopped' });
  assert.deepEqual(told(ask(turns, { text: 'two' })), ['user: two']);
});

test('what is shown may be shorter than what is told', () => {
  assert.deepEqual(told(ask([], { text: 'Explain', content: 'Explain this' })), ['user: Explain this']);
});

test('an answer that has ended is not written any more', () => {
  const turns = write(ask([], { text: 'one' }), { state: 'stopped', text: 'a' });
  assert.equal(write(turns, { text: 'ab' }), turns);
  assert.deepEqual(write([], { text: 'a' }), []);
});

test('code is fenced so that it cannot end the fence', () => {
  assert.equal(fenced('x = 1', 'python'), '```python\nx = 1\n```');
  assert.equal(fenced('```\n````\n', ''), '`````\n```\n````\n`````');
});
