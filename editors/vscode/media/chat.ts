/** The chat's page: draws what the extension says, and tells it what was typed and pressed. */

import type { Entry, FromPage, ToPage, View } from '../src/chat/messages.ts';
import { htmlOf } from './markdown.ts';

declare function acquireVsCodeApi(): { postMessage(message: FromPage): void };

const vscode = acquireVsCodeApi();
const log = element('log');
const question = element('question') as HTMLTextAreaElement;
const MAX_QUESTION_PX = 240;
// Somebody who has scrolled up further than this wants to read there.
const NEAR_END_PX = 40;

window.addEventListener('message', ({ data }: MessageEvent<ToPage>) => {
  switch (data.type) {
    case 'view':
      return show(data.view);
    case 'entry':
      return keepingTheEnd(() => log.children[data.index]?.replaceWith(drawn(data.entry)));
    case 'focus':
      return question.focus();
  }
});

element('form').addEventListener('submit', (event) => {
  event.preventDefault();
  send();
});
question.addEventListener('keydown', (event) => {
  // Enter also ends the composition of a word in some languages.
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  }
});
question.addEventListener('input', () => {
  fit();
  vscode.postMessage({ type: 'draft', text: question.value });
});
element('stop').addEventListener('click', () => vscode.postMessage({ type: 'stop' }));
element('drop').addEventListener('click', () => vscode.postMessage({ type: 'dropSelection' }));
log.addEventListener('click', ({ target }) => {
  const button = target instanceof Element ? target.closest<HTMLElement>('[data-action]') : null;
  const code = button?.closest('.code')?.querySelector('code')?.textContent;
  if (button && code != null) {
    const type = button.dataset['action'] === 'insert' ? 'insert' : 'copy';
    vscode.postMessage({ type, text: type === 'insert' ? code.replace(/\n$/, '') : code });
    if (type === 'copy') {
      button.textContent = 'Copied';
    }
  }
});

vscode.postMessage({ type: 'ready' });

function send(): void {
  const text = question.value.trim();
  if (text !== '' && element('send').hidden === false) {
    vscode.postMessage({ type: 'send', text });
    question.value = '';
    fit();
  }
}

let isFirst = true;

function show({ entries, isBusy, draft, selection, model }: View): void {
  keepingTheEnd(() => log.replaceChildren(...(entries.length > 0 ? entries.map(drawn) : [invitation()])));
  element('selection').hidden = selection === '';
  element('selection-label').textContent = selection;
  element('model').textContent = model;
  element('send').hidden = isBusy;
  element('stop').hidden = !isBusy;
  log.setAttribute('aria-busy', String(isBusy));
  if (isFirst) {
    // Only now: what is being typed stands in the page before the extension knows it.
    isFirst = false;
    question.value = draft;
    fit();
  }
}

function drawn({ role, text, state, about }: Entry): HTMLElement {
  const article = document.createElement('article');
  article.className = `${role} ${state}`;
  article.setAttribute('aria-label', role === 'user' ? 'You' : 'Answer');
  const body = document.createElement('div');
  body.className = 'body';
  if (role === 'assistant') {
    body.innerHTML = htmlOf(text);
  } else {
    body.textContent = text;
  }
  article.append(body);
  const note = about ?? (state === 'stopped' ? 'Stopped.' : '');
  if (note !== '') {
    article.append(noted(note));
  }
  return article;
}

function noted(text: string): HTMLElement {
  const note = document.createElement('div');
  note.className = 'note';
  note.textContent = text;
  return note;
}

function invitation(): HTMLElement {
  const text = document.createElement('p');
  text.className = 'invitation';
  text.textContent = 'Ask about your code. What you have selected in the editor goes along with the question.';
  return text;
}

function keepingTheEnd(draw: () => void): void {
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX;
  draw();
  if (isAtEnd) {
    log.scrollTop = log.scrollHeight;
  }
}

/** The field is as high as what stands in it. */
function fit(): void {
  question.style.height = 'auto';
  question.style.height = `${Math.min(question.scrollHeight + 2, MAX_QUESTION_PX)}px`;
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) {
    throw new Error(`the page has no #${id}`);
  }
  return found;
}
