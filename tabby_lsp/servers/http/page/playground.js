// A completion at the cursor, what the model was given for it, and what it cost.

import { ask, connection } from './ask.js';
import { byId, codeBlock, count, element, milliseconds } from './dom.js';

const BEFORE = `class Box:
    """A box with a lid."""

    def __init__(self, width, height):
        self.width = width
        self.height`;
const AFTER = `

    def area(self):
        return self.width * self.height
`;
// docs/lsp-extensions.md says more of each.
const REASONS = {
  line: 'The rest of the line.',
  block: 'A block.',
  'nothing-to-add': 'Nothing: the model has nothing to add here.',
  filtered: 'Nothing: what the model said was not worth showing.',
  'inside-word': 'Nothing: the cursor is inside a word.',
  'code-after-cursor': 'Nothing: there is code right of the cursor.',
  'blank-document': 'Nothing: there is no code yet.',
  'secret-on-line': 'Nothing: this line looks as if it held a secret.',
  'language-unknown-to-model': 'Nothing: the model does not know this language.',
};

let answered = null; // the code it is for, where in it, and what was said
let asking = null;

export function start() {
  const code = byId('code');
  code.value = BEFORE + AFTER;
  code.setSelectionRange(BEFORE.length, BEFORE.length);
  code.onkeydown = (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      complete();
    }
  };
  byId('complete-form').onsubmit = (event) => {
    event.preventDefault();
    complete();
  };
  byId('insert').onclick = insert;
}

/** The languages that the model knows. */
export function hear(status) {
  const select = byId('language');
  const names = status.languages.join('\n');
  if (select.dataset.names === names) return;
  select.dataset.names = names;
  const chosen = select.value || 'python';
  select.replaceChildren(...status.languages.map((id) => element('option', { value: id }, id)));
  if (status.languages.includes(chosen)) select.value = chosen;
}

async function complete() {
  const field = byId('code');
  const at = field.selectionStart;
  const [prefix, suffix] = [field.value.slice(0, at), field.value.slice(at)];
  asking?.abort();
  const mine = (asking = new AbortController());
  byId('complete-error').textContent = '';
  const startedMs = performance.now();
  try {
    const body = { prefix, suffix, language: byId('language').value };
    const answer = await ask('/v1/page/suggest', body, mine.signal);
    answered = { prefix, suffix, text: answer.text };
    show(answer, performance.now() - startedMs);
    connection.dispatchEvent(new Event('done'));
  } catch (error) {
    if (!mine.signal.aborted) byId('complete-error').textContent = error.message;
  }
}

function show(answer, roundTripMs) {
  const { prefix, suffix, text } = answered;
  byId('completed').hidden = false;
  byId('insert').hidden = !text;
  const why = REASONS[answer.reason] ?? `Nothing: ${answer.reason}.`;
  byId('completed-words').textContent = text ? `${why} ${text.trim()}` : why;
  byId('completed-words').classList.toggle('unseen', Boolean(text));
  byId('completed-code').hidden = !text;
  const mark = element('mark', {}, text);
  byId('completed-code').replaceChildren(lastLines(prefix, 6), mark, firstLines(suffix, 4));
  byId('timings').tBodies[0].replaceChildren(...costs(answer.timings, roundTripMs));
  const { segments } = answer;
  byId('given').hidden = !segments.prefix && !segments.suffix;
  byId('segments').replaceChildren(
    ...segments.snippets.map(({ path, text: piece }) => segment(`Snippet from ${path}`, piece)),
    segment('Before the cursor', segments.prefix),
    segment('After the cursor', segments.suffix),
  );
}

const lastLines = (text, n) => text.split('\n').slice(-n).join('\n');
const firstLines = (text, n) => text.split('\n').slice(0, n).join('\n');

const segment = (title, text) =>
  element('div', {}, element('h3', {}, title), text ? codeBlock(text) : element('p', { className: 'hint' }, 'Nothing.'));

function costs(timings, roundTripMs) {
  const reused = timings.n_reused_tokens ? `, ${count(timings.n_reused_tokens)} known already` : '';
  const rows = [
    ['Waited for its turn', milliseconds(timings.queue_ms), ''],
    ['Read', milliseconds(timings.prefill_ms), `${count(timings.n_evaluated_tokens)} tokens${reused}`],
    ['Wrote', milliseconds(timings.decode_ms), `${count(timings.n_generated_tokens)} tokens`],
    ['From this page and back', milliseconds(roundTripMs), ''],
  ];
  return rows.map(([what, time, tokens]) =>
    element('tr', {}, element('th', { scope: 'row' }, what), element('td', {}, time), element('td', {}, tokens)),
  );
}

function insert() {
  const { prefix, suffix, text } = answered;
  const field = byId('code');
  if (field.value !== prefix + suffix) {
    byId('complete-error').textContent = 'The code has changed since: complete it again.';
    return;
  }
  field.focus();
  field.setSelectionRange(prefix.length, prefix.length);
  // So that undo takes it back.
  if (!document.execCommand('insertText', false, text)) field.setRangeText(text, prefix.length, prefix.length, 'end');
  byId('insert').hidden = true;
}
